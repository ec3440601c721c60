package publisher

import (
	"fmt"
	"strings"
	"testing"
)

// TestServerLogHidesClients: what a client calls itself, and the subjects that it names, are not in the log, even if
// they contain quotes.
func TestServerLogHidesClients(t *testing.T) {
	t.Parallel()
	const name, subject = `x"Zqxv Sample\"y\`, `kyc.payload."zqxv".\"zqxv`
	client := fmt.Sprintf("pipe - cid:81 - %q - %q", name, "v1:go:"+name)
	for _, line := range []string{
		fmt.Sprintf("%s - Publish Violation - Subject %q", client, subject),
		fmt.Sprintf("%s - processPub Parse Error: %q, state 3", client, subject),
	} {
		got := printable(line)
		if strings.Contains(strings.ToLower(got), "zqxv") || !strings.Contains(got, " - cid:81 - ") {
			t.Errorf("%s\nis logged as %s", line, got)
		}
	}
}
