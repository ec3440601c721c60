package rest

import (
	"strings"
	"testing"
)

func TestAllowed(t *testing.T) {
	hosts := []string{"files.example.com", "Other.Example.com:8443", "127.0.0.1:9001", "localhost", "[::1]:9002", "[::1]",
		""}
	tests := map[string]struct {
		url  string
		want bool
	}{
		"listed":                          {"https://files.example.com/api/files/1", true},
		"listed in other case":            {"https://FILES.example.COM/1", true},
		"scheme in other case":            {"HTTPS://files.example.com/1", true},
		"own port written out":            {"https://files.example.com:443/1", true},
		"empty port":                      {"https://files.example.com:/1", true},
		"listed with its port":            {"https://other.example.com:8443/1", true},
		"loopback over http":              {"http://127.0.0.1:9001/1", true},
		"loopback over https":             {"https://127.0.0.1:9001/1", true},
		"loopback by name":                {"http://localhost/1", true},
		"loopback of IPv6":                {"http://[::1]:9002/1", true},
		"loopback of IPv6 on own port":    {"http://[::1]/1", true},
		"other host":                      {"https://evil.example.net/1", false},
		"subdomain":                       {"https://a.files.example.com/1", false},
		"parent":                          {"https://example.com/1", false},
		"listed name in front":            {"https://files.example.com.evil.example.net/1", false},
		"final dot":                       {"https://files.example.com./1", false},
		"other port":                      {"https://files.example.com:8080/1", false},
		"port of a host listed with one":  {"https://other.example.com/1", false},
		"http":                            {"http://files.example.com/1", false},
		"http on the port of https":       {"http://files.example.com:443/1", false},
		"other port of loopback":          {"http://127.0.0.1:22/1", false},
		"loopback that is not listed":     {"http://127.0.0.2:9001/1", false},
		"user":                            {"https://files.example.com@evil.example.net/1", false},
		"user before a listed host":       {"https://user@files.example.com/1", false},
		"user and password":               {"https://a:b@files.example.com/1", false},
		"empty user":                      {"https://@files.example.com/1", false},
		"backslash":                       {`https://files.example.com\@evil.example.net/1`, false},
		"slash encoded":                   {"https://files.example.com%2f@evil.example.net/1", false},
		"host in the fragment":            {"https://evil.example.net/#files.example.com", false},
		"address as one number":           {"http://2130706433:9001/1", false},
		"address in hex":                  {"http://0x7f000001:9001/1", false},
		"address in octal":                {"http://0177.0.0.1:9001/1", false},
		"short address":                   {"http://127.1:9001/1", false},
		"mapped address":                  {"http://[::ffff:127.0.0.1]:9001/1", false},
		"address of a cloud's metadata":   {"http://169.254.169.254/latest", false},
		"zone":                            {"http://[::1%25lo]:9002/1", false},
		"letter that folds to a listed":   {"https://fileſ.example.com/1", false},
		"letter that folds, encoded":      {"https://file%C5%BF.example.com/1", false},
		"file":                            {"file:///etc/passwd", false},
		"no scheme":                       {"files.example.com/1", false},
		"scheme of the page":              {"//files.example.com/1", false},
		"opaque":                          {"https:files.example.com/1", false},
		"empty":                           {"", false},
		"no host":                         {"https:///1", false},
		"only a port":                     {"https://:443/1", false},
		"control character":               {"https://files.example.com/\r\nHost: evil", false},
		"space in front":                  {" https://files.example.com/1", false},
		"tab in the host":                 {"https://files\t.example.com/1", false},
		"script":                          {"javascript://files.example.com/%0aalert(1)", false},
		"data":                            {"data:image/jpeg;base64,AAAA", false},
		"port beyond the lawful":          {"https://files.example.com:99999/1", false},
		"listed host as path of another":  {"https://evil.example.net/https://files.example.com/1", false},
		"listed host as query of another": {"https://evil.example.net?files.example.com/1", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Allowed(tt.url, hosts)
			if got := err == nil; got != tt.want {
				t.Fatalf("Allowed = %v, want allowed %v", err, tt.want)
			}
			for _, word := range []string{"example", "127", "1/", "evil"} {
				if err != nil && strings.Contains(err.Error(), word) {
					t.Errorf("%q repeats the address", err)
				}
			}
		})
	}
	if err := Allowed("https://files.example.com/1", nil); err == nil {
		t.Error("without a list everything is refused")
	}
}

func FuzzAllowed(f *testing.F) {
	f.Add("https://files.example.com/api/files/1/download/ab.jpeg")
	f.Add("https://files.example.com@evil.example.net/")
	f.Fuzz(func(t *testing.T, raw string) {
		if Allowed(raw, []string{"files.example.com"}) != nil {
			return
		}
		if !strings.HasPrefix(lower(raw), "https://files.example.com") {
			t.Errorf("allowed %q", raw)
		}
	})
}
