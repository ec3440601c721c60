package values

import (
	"testing"
	"time"

	"kycbridge/event"
)

func TestDates(t *testing.T) {
	received := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		read func(*Dates, string) string
		in   map[string]string // "" is unread, "-" is left out silently
	}{
		"birth": {(*Dates).Birth, map[string]string{
			"1990-06-21": "1990-06-21", "1990-06-21T00:00:00Z": "1990-06-21", "1990-06-21 00:00:00+02:00": "1990-06-21",
			"21-06-1990": "1990-06-21", "21/06/1990": "1990-06-21", "21.06.1990": "1990-06-21", "21 JUN 1990": "1990-06-21",
			"21-Jun-1990": "1990-06-21",
			"1990":        "1990", "1990-06": "1990", "0000-06-21": "0000-06-21", "2026-03-02": "2026-03-02",
			"2026-03-03": "", "1899-12-31": "", "1410-07-05": "", "2533-06-21": "", "0001-01-01": "", "06/21/1990": "",
			"31-02-1990": "", "1899": "", "x": "", "": "-", " ": "-",
		}},
		"issue": {(*Dates).Issue, map[string]string{
			"1950-01-01": "1950-01-01", "2026-03-03": "2026-03-03", "2026-03-04": "", "1949-12-31": "", "1990": "",
			"1990-06": "", "0000-06-21": "", "": "-",
		}},
		"expiry": {(*Dates).Expiry, map[string]string{
			"1950-01-01": "1950-01-01", "2100-12-31": "2100-12-31", "2101-01-01": "", "2578-01-01": "", "0001-01-01": "",
			"2030": "", "": "-",
		}},
	} {
		for in, want := range c.in {
			d := NewDates(received)
			got := c.read(d, in)
			unread := len(d.Unread) > 0
			if want == "-" && (got != "" || unread) || want == "" && (got != "" || !unread) || want != "" && want != "-" &&
				(got != want || unread) {
				t.Errorf("%s %q: %q, unread %v; want %q", name, in, got, d.Unread, want)
			}
		}
	}
}

func TestUnread(t *testing.T) {
	var u Unread
	if got := u.AddTo(nil); got != nil {
		t.Errorf("nothing unread: %+v", got)
	}
	u.Add("birthdate")
	u.Add("birthdate")
	if got := u.AddTo(nil); len(got) != 1 || got[0].Type != event.CheckDataExtraction || len(got[0].Fields) != 1 ||
		got[0].Result != event.ResultUndetermined {
		t.Errorf("a check of its own: %+v", got)
	}
	known := []event.Check{{CheckID: "x", Type: event.CheckDataExtraction, Result: event.ResultPassed}}
	if got := u.AddTo(known); len(got) != 1 || got[0].CheckID != "x" || got[0].Result != event.ResultUndetermined {
		t.Errorf("the check that is there: %+v", got)
	}
}
