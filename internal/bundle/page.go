package bundle

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"kycbridge/event"
	"kycbridge/internal/ledger"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// payloadRow, eventRow and accessRow are what the page shows of a message.
type (
	payloadRow struct{ File, Received, Via, Admitted, Type, ID, Digest, Body string }
	eventRow   struct {
		File, Time, ID, Status, Outcome string
		Revision                        int
	}
	accessRow struct{ Time, By, Operation, Reason, Result string }
)

// page is the human-readable page with the important data, for screen and print.
func (b Bundle) page() ([]byte, error) {
	view := struct {
		About      About
		Made       string
		Erased     string // "" if the verification was not erased
		Partly     string // "" unless its erasure is not finished
		Payloads   []payloadRow
		Events     []eventRow
		Accesses   []accessRow
		Checkpoint string
	}{About: b.About, Made: moment(b.About.MadeAt), Checkpoint: string(b.Checkpoint)}
	if !b.About.ErasedAt.IsZero() {
		view.Erased = moment(b.About.ErasedAt)
	}
	if !b.About.PartlyErasedAt.IsZero() {
		view.Partly = moment(b.About.PartlyErasedAt)
	}
	for i, m := range b.Messages {
		file := name(i+1, m.Kind)
		switch m.Kind {
		case ledger.Payload:
			view.Payloads = append(view.Payloads, payloadOf(file, m))
		case ledger.Event:
			view.Events = append(view.Events, eventOf(file, m))
		case ledger.Access:
			view.Accesses = append(view.Accesses, accessOf(m))
		}
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, view)
	return out.Bytes(), err
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func payloadOf(file string, m Message) payloadRow {
	header := func(name string) string { return strings.Join(m.Headers[name], ", ") }
	row := payloadRow{File: file, Received: header("Kyc-Received-At"), Via: header("Kyc-Via"),
		Admitted: header("Kyc-Placement"), Type: header("Kyc-Event"), ID: header("Nats-Msg-Id"), Digest: m.Digest}
	if utf8.Valid(m.Body) {
		row.Body = string(m.Body)
	}
	var indented bytes.Buffer
	if json.Indent(&indented, m.Body, "", "  ") == nil {
		row.Body = indented.String()
	}
	return row
}

func eventOf(file string, m Message) eventRow {
	row := eventRow{File: file}
	if e, err := event.Decode(m.Body); err == nil {
		row.ID, row.Revision, row.Status = e.ID, e.Data.Revision, string(e.Data.Status)
		row.Outcome, row.Time = string(e.Data.Decision.Outcome), e.Time
	}
	return row
}

func accessOf(m Message) accessRow {
	var a struct {
		Time                          time.Time
		By, Operation, Reason, Result string
	}
	_ = json.Unmarshal(m.Body, &a) // an unreadable one is an empty row; its file is in the bundle
	reason, err := url.PathUnescape(a.Reason)
	if err != nil {
		reason = a.Reason
	}
	return accessRow{moment(a.Time), a.By, a.Operation, reason, a.Result}
}
