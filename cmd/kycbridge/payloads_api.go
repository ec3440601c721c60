package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// idPrefix matches the shortened internal id of tables.
var idPrefix = regexp.MustCompile(`^[0-9a-f][0-9a-f-]{3,34}$`)

// isBeginning reports whether a text can be the prefix of an internal id, and is not a complete one.
func isBeginning(id string) bool { return idPrefix.MatchString(id) }

// only is the single verification whose own id begins with text. A search also finds verifications by their other
// ids, which are not meant here: what is selected may be erased.
func only(found []archive.Found, text string) (string, error) {
	ids := map[string]bool{}
	id := ""
	for _, f := range found {
		if strings.HasPrefix(f.VerificationID, text) {
			id = f.VerificationID
			ids[id] = true
		}
	}
	switch len(ids) {
	case 0:
		return "", fmt.Errorf("no verification has an id that begins with %s; kycbridge find finds it by any other id",
			printable(text))
	case 1:
		return id, nil
	}
	return "", fmt.Errorf("%s begin with %s: write more of the id", plural(len(ids), "id of a verification"),
		printable(text))
}

// resolve completes a shortened verification id in the filter.
func (s store) resolve(ctx context.Context, f *archive.Filter) error {
	if !isBeginning(f.Verification) {
		return nil
	}
	found, err := s.Find(ctx, f.Verification)
	if err == nil {
		f.Verification, err = only(found, f.Verification)
	}
	return err
}

// resolve completes a shortened verification id in the filter.
func (c *apiClient) resolve(ctx context.Context, f *archive.Filter) error {
	if !isBeginning(f.Verification) {
		return nil
	}
	var r archive.SearchResult
	err := c.object(ctx, request{method: http.MethodGet, path: "/v1/verifications",
		query: url.Values{"q": {f.Verification}}}, &r)
	if err == nil {
		f.Verification, err = only(r.Found, f.Verification)
	}
	return err
}

// queryOf is a filter as request parameters.
func queryOf(f archive.Filter) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"provider": f.Provider, "account": f.Account,
		"verification": f.Verification, "id": f.ID,
		"via": f.Via, "status": f.Status, "reason": f.Reason, "event": f.Event, "since": instantOf(f.Since),
		"until": instantOf(f.Until)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

func instantOf(t time.Time) string { return event.Instant(t) }

// list lists payloads over the API.
func (c *apiClient) list(ctx context.Context, f archive.Filter, each func(archive.Entry) error) error {
	return c.lines(ctx, request{method: http.MethodGet, path: "/v1/payloads", query: queryOf(f)}, func(line []byte) error {
		var e archive.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return errors.New("the admin API did not answer with a list of payloads")
		}
		return each(e)
	})
}

// show reads one payload through the API, which logs that it was revealed.
func (c *apiClient) show(ctx context.Context, f archive.Filter, reveal bool) (shown archive.Shown, err error) {
	q := url.Values{}
	if f.Status != "" {
		q.Set("status", f.Status)
	}
	if reveal {
		q.Set("reveal", "true")
	}
	err = c.object(ctx, request{method: http.MethodGet, path: "/v1/payloads/" + url.PathEscape(f.ID), query: q}, &shown)
	if p, ok := errors.AsType[*apiProblem](err); ok && p.name() == "unknown_payload" {
		return shown, fmt.Errorf("no stored payload has the id %s", printable(f.ID))
	}
	return shown, err
}

// report requests the report for a filter through the API.
func (c *apiClient) report(ctx context.Context, f archive.Filter) (archive.Report, error) {
	var r app.VerifiedReport
	err := c.object(ctx, request{method: http.MethodGet, path: "/v1/payloads/report", query: queryOf(f)}, &r)
	return r.Report, err
}
