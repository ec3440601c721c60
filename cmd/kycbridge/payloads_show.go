package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// revealed is the log entry when personal data is shown.
func revealed(k kycbridge.Kept) []zap.Field {
	return []zap.Field{zap.String("provider", k.Provider), zap.String("account", k.Account),
		zap.String("payload_id", k.ID)}
}

// printShown prints a payload as text: labels, then the body.
func printShown(w io.Writer, s archive.Shown) error {
	status := s.Status
	if s.Pending {
		status += ", not processed yet"
	}
	pairs := []string{
		"payload", s.PayloadID,
		"status", status + after(": ", s.Reason),
		"sequence", strconv.FormatUint(s.Seq, 10),
		"provider", s.Provider,
		"account", s.Account,
		"addressed", s.Addressed,
		"verification", s.VerificationID,
		"reference", s.Reference,
		"event", s.Event,
		"received", shortTime(s.ReceivedAt) + after(" via ", s.Via),
		"authenticated", authenticated(s),
		"part", s.Part,
		"trigger", s.Trigger,
		"size", plural(s.Bytes, "byte") + after(" of ", s.ContentType),
		"digest", s.Digest,
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		pairs = append(pairs, "header", name+": "+s.Headers[name])
	}
	for _, worked := range s.Worked {
		pairs = append(pairs, "led to", ledTo(worked))
		for _, v := range worked.New {
			pairs = append(pairs, "new", printable(v.Kind+" "+v.Pointer+after(": ", v.Value)))
		}
	}
	for _, e := range s.Errors {
		place := e.Path
		if place == "" {
			place = "the body"
		}
		pairs = append(pairs, "error", place+" "+e.Message)
	}
	if s.Masked {
		pairs = append(pairs, "body", "masked; --reveal shows it")
	}
	if err := labelled(w, pairs...); err != nil {
		return err
	}
	return printBody(w, s)
}

// authenticated describes how a payload was admitted.
func authenticated(s archive.Shown) string {
	switch {
	case s.Status == archive.StatusRefused:
		return "no"
	case s.Admitted != "":
		return "by " + s.Admitted
	case s.Via != string(event.ViaCallback):
		return "fetched by kycbridge"
	}
	return ""
}

// ledTo is the result of one processing attempt.
func ledTo(w archive.Worked) string {
	if w.Revision == 0 {
		return "no event: " + w.NoEvent
	}
	words := []string{"revision " + strconv.Itoa(w.Revision)}
	for _, word := range []string{w.Status, w.Outcome} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ") + after(", event ", w.EventID)
}

// printBody prints a body line by line, without terminal control characters.
func printBody(w io.Writer, s archive.Shown) error {
	text := s.Text
	if s.Body != nil {
		var b bytes.Buffer
		if err := json.Indent(&b, s.Body, "", "  "); err != nil {
			return err
		}
		text = b.String()
	}
	for l := range strings.Lines(text) {
		if _, err := fmt.Fprintln(w, printable(strings.TrimRight(l, "\r\n"))); err != nil {
			return err
		}
	}
	return nil
}
