package spool

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func plenty(int) bool { return true }

func limits(t testing.TB) Limits {
	return Limits{Rest: 8 << 20, Dir: t.TempDir(), Memory: plenty, Disk: plenty}
}

func read(t testing.TB, r io.Reader, l Limits) *Text {
	t.Helper()
	text, err := Read(r, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := text.Close(); err != nil {
			t.Error(err)
		}
	})
	return text
}

// whole is the text with its files in place of their marks.
func whole(t testing.TB, text *Text) []byte {
	t.Helper()
	out := text.JSON
	for _, f := range text.Files {
		content, err := io.ReadAll(f.Open())
		if err != nil || int64(len(content)) != f.Size {
			t.Fatalf("%d bytes of %d, %v", len(content), f.Size, err)
		}
		out = bytes.ReplaceAll(out, []byte(f.Mark), content)
	}
	return out
}

func encoded(size int, seed uint64) string {
	raw := make([]byte, size*3/4)
	random := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = random.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

// TestLongStringsAreSpooled: the rest is small, every file has the original content, and inserting them
// yields the same document, however the text is read.
func TestLongStringsAreSpooled(t *testing.T) {
	long, longer := encoded(longest+4, 1), encoded(3<<20, 2)
	escaped := strings.NewReplacer("/", `\/`, "+", `\u002B`, "A", `\u0041`).Replace(longer)
	for name, tt := range map[string]struct {
		text  string
		files int
	}{
		"nothing":            {``, 0},
		"no strings":         {`{"a":[1,2,{}]}`, 0},
		"short":              {`{"a":"b\\\"","c":"\u0022"}`, 0},
		"just short enough":  {`{"a":"` + encoded(longest, 1) + `"}`, 0},
		"long":               {`{"a":"` + long + `","b":"x"}`, 1},
		"as a name":          {`{"` + long + `":1}`, 1},
		"twice the same":     {`{"a":"` + long + `","b":"` + long + `"}`, 2},
		"larger than memory": {`{"a":"` + longer + `","b":"` + long + `","c":"` + encoded(2<<20, 3) + `"}`, 3},
		"escaped":            {`{"a":"` + escaped + `"}`, 1},
		"cut short":          {`{"a":"` + long, 0},
		"after an escape":    {`{"a":"\\","b":"` + long + `\\`, 0},
	} {
		for how, reader := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r },
			"in halves": iotest.HalfReader, "with its end": iotest.DataErrReader} {
			t.Run(name+" "+how, func(t *testing.T) {
				got := read(t, reader(strings.NewReader(tt.text)), limits(t))
				if len(got.Files) != tt.files || len(got.Others) > 0 {
					t.Fatalf("%d files, %d others", len(got.Files), len(got.Others))
				}
				if tt.files > 0 && len(got.JSON) > longest {
					t.Errorf("%d bytes are left", len(got.JSON))
				}
				var want, made any
				if json.Unmarshal([]byte(tt.text), &want) != nil {
					if json.Valid(got.JSON) {
						t.Error("what is no JSON has become some")
					}
					return
				}
				if err := json.Unmarshal(whole(t, got), &made); err != nil || !reflect.DeepEqual(want, made) {
					t.Errorf("another document: %v", err)
				}
			})
		}
	}
}

// TestOtherLongStrings: a long string that is not base64 is not stored, and its mark is not base64 either.
func TestOtherLongStrings(t *testing.T) {
	long := encoded(longest+4, 1)
	for name, s := range map[string]string{
		"words":            strings.Repeat("words ", longest),
		"a line break":     long + `\n` + long,
		"another alphabet": long + "-_",
		"a letter beyond":  long + "ä",
		"escaped beyond":   long + `\u00e4`,
		"no escape":        long + `\x` + long,
		"cut escape":       long + `\u00`,
		"within padding":   "AA==" + long,
		"three of padding": long[:len(long)-4] + "A===",
		"an address":       "https://files.example.com/" + long,
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, strings.NewReader(`{"a":"`+s+`","b":1}`), limits(t))
			if len(got.Files) != 0 || len(got.Others) != 1 {
				t.Fatalf("%d files, %d others", len(got.Files), len(got.Others))
			}
			var doc map[string]any
			if err := json.Unmarshal(got.JSON, &doc); err != nil || doc["a"] != got.Others[0] || inAlphabet(got.Others[0][0]) ||
				len(got.Others[0]) != markLength {
				t.Errorf("%v, %.40v", err, doc["a"])
			}
		})
	}
}

// TestMarksIdentifyContent: the same string has the same mark in another text, so that a repeated request
// is recognized; a different one has a different mark.
func TestMarksIdentifyContent(t *testing.T) {
	long := encoded(longest+4, 1)
	mark := func(s string) string {
		return read(t, strings.NewReader(`["`+s+`"]`), limits(t)).Files[0].Mark
	}
	if mark(long) != mark(strings.ReplaceAll(long, "/", `\/`)) || mark(long) == mark(encoded(longest+4, 2)) {
		t.Error("marks do not tell strings apart by what they are")
	}
}

// TestTheFileIsUnnamedAndEncrypted: the file has no name, and its content is encrypted.
func TestTheFileIsUnnamedAndEncrypted(t *testing.T) {
	l := limits(t)
	long := strings.Repeat("QUJD", 1<<20)
	text := read(t, strings.NewReader(`["`+long+`"]`), l)
	if left, err := os.ReadDir(l.Dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	raw := make([]byte, 1<<20)
	if _, err := text.store.file.ReadAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("QUJDQUJD")) {
		t.Error("it can be read")
	}
	for range 2 { // again, for a call that is sent again
		if got, err := io.ReadAll(text.Files[0].Open()); err != nil || string(got) != long {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

// TestBounds: a text above a limit is refused with its kind of error, and its reservations are released.
func TestBounds(t *testing.T) {
	few := func(left int) func(int) bool {
		return func(n int) bool { left -= n; return left >= 0 }
	}
	long := `["` + encoded(3<<20, 1) + `"]`
	away := errors.New("the caller is gone")
	for name, tt := range map[string]struct {
		text   io.Reader
		change func(*Limits)
		want   error
	}{
		"much besides":   {strings.NewReader(`[` + strings.Repeat(`"x",`, 3<<20) + `1]`), func(*Limits) {}, ErrTooLarge},
		"no memory":      {strings.NewReader(long), func(l *Limits) { l.Memory = few(chunk) }, ErrFull},
		"no room":        {strings.NewReader(long), func(l *Limits) { l.Disk = few(2 << 20) }, ErrFull},
		"no folder":      {strings.NewReader(long), func(l *Limits) { l.Dir = "/dev/null/x" }, ErrDisk},
		"caller is gone": {io.MultiReader(strings.NewReader(long[:2<<20]), iotest.ErrReader(away)), func(*Limits) {}, away},
	} {
		t.Run(name, func(t *testing.T) {
			l := limits(t)
			tt.change(&l)
			if text, err := Read(tt.text, l); !errors.Is(err, tt.want) || text != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestMemoryStaysSmall: 64 MiB are processed without being held.
func TestMemoryStaysSmall(t *testing.T) {
	part := encoded(1<<20, 1)
	parts := make([]io.Reader, 0, 66)
	parts = append(parts, strings.NewReader(`["`))
	for range 64 {
		parts = append(parts, strings.NewReader(part))
	}
	parts = append(parts, strings.NewReader(`"]`))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	text := read(t, io.MultiReader(parts...), limits(t))
	n, err := io.Copy(io.Discard, text.Files[0].Open())
	runtime.ReadMemStats(&after)
	if err != nil || n != 64<<20 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

// FuzzRead: for any input, the restored document is the same, or invalid as before.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"a":"b"}`, `["\u002f\/"]`, `"`, `{"a":"\`, "[\"\x00\"]"} {
		f.Add(s, uint16(0))
		f.Add(s, uint16(40000))
	}
	f.Fuzz(func(t *testing.T, s string, more uint16) {
		body := fmt.Sprintf(`{"long":"%s%s","s":%s}`, encoded(longest, 1), strings.Repeat("A", int(more)), s)
		text, err := Read(strings.NewReader(body), limits(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = text.Close() }()
		if len(text.Others) > 0 {
			return
		}
		var want, got any
		err1, err2 := json.Unmarshal([]byte(body), &want), json.Unmarshal(whole(t, text), &got)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !reflect.DeepEqual(want, got) {
			t.Errorf("another document: %v, %v", err1, err2)
		}
	})
}
