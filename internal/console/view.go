package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
)

// pages are the templates by name, each with the layout.
type pages map[string]*template.Template

// parsePages parses the embedded templates; an error is a bug and panics.
func parsePages() pages {
	all := pages{}
	entries, err := files.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		all[name] = template.Must(template.New("layout.html").Funcs(functions).
			ParseFS(files, "templates/layout.html", "templates/parts.html", path.Join("templates", e.Name())))
	}
	return all
}

// functions are the functions of the templates.
var functions = template.FuncMap{
	"visible": visible,
	"when":    when,
	"instant": event.Instant,
	"ago":     func(d time.Duration) string { return d.Round(time.Second).String() },
	"short":   func(id string) string { return id[:min(8, len(id))] },
	"bytes":   size,
	"count":   count,
	"value":   value,
	"digest":  Digest,
	"why":     why,
	"ages":    func() []age { return ages },
	"clock":   clock,
	"day":     func(instant string) string { return when(event.ParseInstant(instant)) },
	"listed":  listed,
	"words":   func(s string) string { return strings.ReplaceAll(s, "_", " ") },
}

// page is the content of the layout.
type page struct {
	Title   string
	Name    string // of the template
	Signed  bool
	CSRF    string
	By      string
	Version string
	Content any

	rights kycbridge.Rights
}

// May reports whether the signed-in operator has a right.
func (p page) May(right kycbridge.Right) bool { return p.rights.Has(right) }

// render writes a page completely or not at all, so that a template error causes no partial page.
func (c *Console) render(w http.ResponseWriter, s *session, status int, name, title string, content any) {
	p := page{Title: title, Name: name, Version: c.Version, Content: content}
	if s != nil {
		p.Signed, p.CSRF, p.By, p.rights = true, s.csrf, s.by, s.rights
	}
	var b bytes.Buffer
	if err := c.pages[name].Execute(&b, p); err != nil {
		c.Logger.Error("console page cannot be written", zap.String("page", name), zap.Error(err))
		http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// show answers a visit with a page.
func (c *Console) show(v visit, name, title string, content any) error {
	c.render(v.w, v.session, http.StatusOK, name, title, content)
	return nil
}

const (
	maxText  = 64 << 10 // bytes of one text on a page
	maxValue = 300      // bytes of a value within a table
)

// visible is text in a safe form: invisible characters, and those that change the text direction, are
// escaped, and long text is truncated.
func visible(s string) string {
	cut := ""
	if len(s) > maxText {
		cut = fmt.Sprintf("\n… cut here: %s in all", size(len(s)))
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	if !strings.ContainsFunc(s, isInvisible) {
		return s + cut
	}
	var b strings.Builder
	for _, r := range s {
		if isInvisible(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String() + cut
}

// isInvisible reports whether a character is not displayed as itself: controls, marks of direction, and
// Unicode's format and private-use characters.
func isInvisible(r rune) bool {
	return r != '\n' && r != '\t' &&
		(unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp))
}

// value is a value of a difference as text.
func value(v any) string {
	if v == nil {
		return "nothing"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "…"
	}
	text := string(raw)
	if s, ok := v.(string); ok {
		text = s
	}
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "") + "…"
	}
	return visible(text)
}

// pretty is a value as indented JSON.
func pretty(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the template escapes
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// maxLeaf is the maximum size in bytes of a text within a body; of a longer one only the beginning is
// shown.
const maxLeaf, shownPrefix = 2000, 200

// brief is a JSON body with shortened long texts, such as images.
func brief(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return raw
	}
	return shorter(v)
}

func shorter(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = shorter(v[key])
		}
	case []any:
		for i := range v {
			v[i] = shorter(v[i])
		}
	case string:
		if len(v) > maxLeaf {
			return strings.ToValidUTF8(v[:shownPrefix], "") + "… " + size(len(v)) + " in all"
		}
	}
	return v
}

// when formats an instant, in UTC as in every log line and event.
func when(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// clock is the time of day of an instant in event format.
func clock(instant string) string {
	t := event.ParseInstant(instant)
	if t.IsZero() {
		return visible(instant)
	}
	return t.Format("15:04:05.000")
}

// size formats a number of bytes.
func size(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	}
	return strconv.Itoa(n) + " bytes"
}

// why explains the reason code of a payload without an event.
func why(noEvent string) string {
	return map[string]string{
		kycbridge.NoEventIgnored:         "its type does not concern a verification",
		kycbridge.NoEventTrigger:         "it only announces a result, which is fetched",
		kycbridge.NoEventOld:             "it is older than the known facts",
		kycbridge.NoEventUnchanged:       "it contains nothing new",
		kycbridge.NoEventErased:          "it was erased before its event was published",
		kycbridge.DispositionQuarantined: "the mapping could not read it",
		kycbridge.DispositionDamaged:     "its bytes were damaged in the store",
	}[noEvent]
}

// listed lists counts by kind: 2 old, 1 unchanged.
func listed(counts map[string]int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, strconv.Itoa(counts[what])+" "+what)
	}
	return strings.Join(parts, ", ")
}

// count formats a number of things: 1 payload, 2 payloads.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if plural, ok := strings.CutSuffix(one, "y"); ok {
		return strconv.Itoa(n) + " " + plural + "ies"
	}
	return strconv.Itoa(n) + " " + one + "s"
}
