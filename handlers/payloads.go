package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// The operations on stored payloads.
const (
	PayloadsList   = "list"
	PayloadsShow   = "show"
	PayloadsReplay = "replay"
	PayloadsExport = "export"
	PayloadsImport = "import"
	PayloadsPurge  = "purge"
	PayloadsReport = "report"
	PayloadsFind   = "find" // a verification, by any of its ids
	PayloadsAccess = "access"

	PayloadsHold    = "hold"
	PayloadsRelease = "release"
	PayloadsHolds   = "holds" // lists them
)

const (
	ndjson         = "application/x-ndjson"
	payloadTimeout = 2 * time.Minute // limit for the caller to receive, or to send, the next piece
	payloadRenew   = time.Second     // how often output is flushed and the limit renewed
)

// PayloadRequest is one operation on stored payloads.
type PayloadRequest struct {
	Operation string
	ID        string          // of the payload to show
	Options   json.RawMessage // an object that conforms to the operation's component of the OpenAPI document
	Body      io.Reader       // of an import
	By        string          // name of the holder of the token or certificate
	Reason    string          // which the holder states; "": none
	// About receives the verification that the request is about. The tool calls it before it reveals or changes
	// anything of that verification, and stops on an error.
	About func(k kycbridge.Key) error
}

// PayloadTool handles operations on stored payloads.
type PayloadTool interface {
	// Payloads writes its answer to out: JSON objects, one per line if there may be several. An error
	// before its first byte is answered as a problem, a later one aborts the response. It returns
	// ErrNotFound if it does not know the payload or verification, and an error of InvalidRequest if the
	// request is invalid.
	Payloads(ctx context.Context, r PayloadRequest, out io.Writer) error
}

// InvalidRequest is the error of an invalid request: the pointer, and the expectation there.
func InvalidRequest(path, message string) error {
	return faulty(errInvalidRequest, []kycbridge.FieldError{{Path: path, Message: message}})
}

// selection are the query parameters that select payloads.
var selection = []string{"provider", "account", "verification", "id", "via", "status", "reason", "event", "since",
	"until", "limit", "from"}

// demanding are the operations that always demand a reason, and are recorded before they are done.
var demanding = []string{PayloadsExport, PayloadsHold, PayloadsRelease}

// AddPayloads adds the stored-payload tool and the access log to an echo of NewAdmin. It uses the options
// Holders, Access, Accounts, Decode, Validate, Logger and Now.
func AddPayloads(e *echo.Echo, o APIOptions, tool PayloadTool) {
	s := &payloads{tool: tool, api: newAPI(o)}
	add := func(method, path string, right kycbridge.Right, name, mediaType string, read readPayloads) {
		o := operation{
			name: name + "_payloads", right: right, demanding: slices.Contains(demanding, name),
			query: method == http.MethodGet || name == PayloadsImport,
		}
		switch name {
		case PayloadsAccess:
			o.name = "list_access"
		case PayloadsHolds:
			o.name = "list_holds"
		}
		e.Add(method, path, s.handle(o, func(c echo.Context, t *requestLog) error {
			return s.work(c, t, PayloadRequest{Operation: name}, mediaType, read)
		}))
	}
	const readRight, object = kycbridge.RightRead, "application/json"
	add(http.MethodGet, "/v1/verifications", readRight, PayloadsFind, object, s.search)
	add(http.MethodGet, "/v1/payloads", readRight, PayloadsList, ndjson, s.query(selection...))
	add(http.MethodGet, "/v1/payloads/export", kycbridge.RightReveal, PayloadsExport, ndjson,
		s.query(selection...))
	add(http.MethodGet, "/v1/payloads/report", readRight, PayloadsReport, object,
		s.query("provider", "account", "verification", "since", "until"))
	add(http.MethodPost, "/v1/payloads/replay", kycbridge.RightReplay, PayloadsReplay, ndjson, s.body("PayloadReplay"))
	add(http.MethodPost, "/v1/payloads/purge", kycbridge.RightPurge, PayloadsPurge, object, s.body("PayloadPurge"))
	add(http.MethodPost, "/v1/payloads/hold", kycbridge.RightHold, PayloadsHold, object, s.body("PayloadHold"))
	add(http.MethodPost, "/v1/payloads/release", kycbridge.RightHold, PayloadsRelease, object, s.body("PayloadRelease"))
	add(http.MethodGet, "/v1/payloads/holds", readRight, PayloadsHolds, ndjson, s.query())
	add(http.MethodPost, "/v1/payloads/import", kycbridge.RightImport, PayloadsImport, object, s.importBody)
	add(http.MethodGet, "/v1/payloads/:id", readRight, PayloadsShow, object, s.showID)
	add(http.MethodGet, "/v1/access", readRight, PayloadsAccess, ndjson,
		s.query("since", "until", "by", "verification", "limit"))
}

// payloads is the API of the stored-payload tool.
type payloads struct {
	*api
	tool PayloadTool
}

// readPayloads fills in the parameters of a request.
type readPayloads func(echo.Context, *requestLog, *PayloadRequest) error

// work reads a request, runs the tool and streams its answer, as long as the caller receives it.
func (s *payloads) work(c echo.Context, t *requestLog, r PayloadRequest, mediaType string, read readPayloads) error {
	if err := read(c, t, &r); err != nil {
		return err
	}
	r.By, r.Reason = t.use.By, t.use.Reason
	r.About = func(k kycbridge.Key) error { return s.about(c, t, k) }
	if t.use.demanding && r.Operation != PayloadsShow { // PayloadsShow begins in About, once its verification is known
		if err := s.begin(c, t); err != nil {
			return err
		}
	}
	control := http.NewResponseController(c.Response())
	importBody, _ := r.Body.(*deadlineReader)
	if importBody == nil {
		_ = control.SetReadDeadline(time.Time{}) // the request is completely read
	}
	out := &deadlineWriter{c: c, control: control, mediaType: mediaType, use: t.use}
	err := s.tool.Payloads(c.Request().Context(), r, out)
	t.bytes = max(t.bytes, out.n)
	switch {
	case out.n == 0 && importBody != nil && importBody.failed:
		return fmt.Errorf("read exported payloads: %w", errInterrupted)
	case errors.Is(err, kycbridge.ErrNotFound) && out.n == 0 && r.Operation == PayloadsShow:
		return errNoPayload
	case errors.Is(err, kycbridge.ErrAmbiguous) && out.n == 0:
		return InvalidRequest("/q", "must be longer: too many ids begin like this")
	case errors.Is(err, kycbridge.ErrNotFound) && out.n == 0 && r.Operation == PayloadsRelease:
		return errNotHeld
	case errors.Is(err, kycbridge.ErrNotFound) && out.n == 0 && slices.Contains(ofOne, r.Operation):
		return errNothingKept
	case errors.Is(err, kycbridge.ErrNotFound):
		return fmt.Errorf("%w: %w", errFault, err)
	case err != nil:
		return err
	}
	out.begin()
	t.outcome = "done"
	return nil
}

// ofOne are the operations on one verification.
var ofOne = []string{PayloadsPurge, PayloadsHold}

// query reads the named parameters: text, except numbers and times, which may be ages.
func (s *payloads) query(names ...string) readPayloads {
	return func(c echo.Context, t *requestLog, r *PayloadRequest) error {
		doc, err := s.parameters(c.QueryParams(), names)
		if err != nil {
			return err
		}
		filter := maps.Clone(doc)
		delete(filter, "by") // of the access log
		if err := faulty(errInvalidRequest, s.Validate("PayloadFilter", filter)); err != nil {
			return err
		}
		if err := s.weigh(t, r, doc); err != nil {
			return err
		}
		r.Options, err = json.Marshal(doc)
		return err
	}
}

// parameters is a query as a document.
func (s *payloads) parameters(q url.Values, names []string) (map[string]any, error) {
	doc := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		switch values := q[name]; {
		case !slices.Contains(names, name):
			return nil, InvalidRequest("/"+name, "is not a known parameter")
		case len(values) != 1 || values[0] == "":
			return nil, InvalidRequest("/"+name, "must stand there once, with a value")
		case name == "since" || name == "until":
			at, ok := s.instant(values[0])
			if !ok {
				return nil, InvalidRequest("/"+name, "must be a time such as 2026-03-02T09:00:00Z, or an age such as 24h or 7d")
			}
			doc[name] = at
		case name == "by":
			if !isHolderName(values[0]) {
				return nil, InvalidRequest("/by", "must be a name of admin.tokens or admin.client_certs, or os: and a user")
			}
			doc[name] = values[0]
		case name == "limit" || name == "from":
			if _, err := strconv.ParseUint(values[0], 10, 63); err != nil {
				return nil, InvalidRequest("/"+name, "must be a number, 0 or more")
			}
			doc[name] = json.Number(values[0])
		case name == "reveal" || name == "dry_run" || name == "timeline":
			if values[0] != "true" && values[0] != "false" {
				return nil, InvalidRequest("/"+name, "must be true or false")
			}
			doc[name] = values[0] == "true"
		default:
			doc[name] = values[0]
		}
	}
	return doc, nil
}

// instant parses a time or an age as a time; ok is false for neither.
func (s *payloads) instant(value string) (at string, ok bool) {
	if age, err := kycbridge.ParseAge(value); err == nil {
		return s.Now().Add(-age).UTC().Format(time.RFC3339Nano), true
	}
	_, err := time.Parse(time.RFC3339, value)
	return value, err == nil
}

// body reads a JSON object that conforms to a component.
func (s *payloads) body(component string) readPayloads {
	return func(c echo.Context, t *requestLog, r *PayloadRequest) error {
		doc, err := s.readJSON(c, t, component, apiMaxRequest)
		if err != nil {
			return err
		}
		if err := s.weigh(t, r, doc); err != nil {
			return err
		}
		r.Options, err = json.Marshal(doc)
		return err
	}
}

// weigh records what a request selects, checks the right to what it reveals, and decides whether it demands
// a reason: to export, to reveal values about a person, to send events elsewhere, and to erase.
func (s *payloads) weigh(t *requestLog, r *PayloadRequest, doc map[string]any) error {
	s.selected(t, doc)
	if doc["reveal"] == true {
		t.use.demanding = true
		return holder{rights: t.use.rights}.need(kycbridge.RightReveal)
	}
	switch r.Operation {
	case PayloadsPurge:
		t.use.demanding = doc["confirm"] == true && doc["dry_run"] != true
	case PayloadsReplay:
		to, _ := doc["to"].(string)
		t.use.demanding = to != "" && doc["dry_run"] != true
	}
	return nil
}

// showID reads the payload to show.
func (s *payloads) showID(c echo.Context, t *requestLog, r *PayloadRequest) error {
	doc, err := s.parameters(c.QueryParams(), []string{"reveal", "status"})
	if err != nil {
		return err
	}
	filter := maps.Clone(doc)
	delete(filter, "reveal")
	if err := faulty(errInvalidRequest, s.Validate("PayloadFilter", filter)); err != nil {
		return err
	}
	if err := s.weigh(t, r, doc); err != nil {
		return err
	}
	r.ID = param(c, "id")
	r.Options, err = json.Marshal(doc)
	return err
}

// search reads the searched text.
func (s *payloads) search(c echo.Context, t *requestLog, r *PayloadRequest) error {
	doc, err := s.parameters(c.QueryParams(), []string{"q", "timeline"})
	if err != nil {
		return err
	}
	if text, _ := doc["q"].(string); text == "" || len(text) > apiReference {
		return InvalidRequest("/q", fmt.Sprintf("must be an id or its beginning, of at most %d bytes", apiReference))
	}
	s.selected(t, doc)
	r.Options, err = json.Marshal(doc)
	return err
}

// importBody streams the body of an import.
func (s *payloads) importBody(c echo.Context, t *requestLog, r *PayloadRequest) error {
	if known, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type")); err != nil || known != ndjson {
		return errLinesType
	}
	doc, err := s.parameters(c.QueryParams(), []string{"dry_run"})
	if err != nil {
		return err
	}
	s.selected(t, doc)
	t.use.demanding = doc["dry_run"] != true // a line may contain any decision about anybody
	r.Options, err = json.Marshal(doc)
	r.Body = &deadlineReader{body: c.Request().Body, control: http.NewResponseController(c.Response())}
	return err
}

// deadlineReader reads a body and extends the deadline while data arrives.
type deadlineReader struct {
	body    io.Reader
	control *http.ResponseController
	failed  bool
}

func (r *deadlineReader) Read(b []byte) (int, error) {
	_ = r.control.SetReadDeadline(time.Now().Add(payloadTimeout))
	n, err := r.body.Read(b)
	if err != nil {
		_ = r.control.SetReadDeadline(time.Time{})
		r.failed = !errors.Is(err, io.EOF)
	}
	return n, err
}

// deadlineWriter starts the response with its first byte and extends the deadline while the caller
// receives.
type deadlineWriter struct {
	c         echo.Context
	control   *http.ResponseController
	mediaType string
	use       *use
	n         int64
	renewed   time.Time
}

// begin sends the head of the response, once.
func (w *deadlineWriter) begin() {
	if w.c.Response().Committed {
		return
	}
	w.renew()
	h := w.c.Response().Header()
	h.Set("Content-Type", w.mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	w.c.Response().WriteHeader(http.StatusOK)
}

func (w *deadlineWriter) renew() {
	w.renewed = time.Now()
	_ = w.control.SetWriteDeadline(w.renewed.Add(payloadTimeout))
}

func (w *deadlineWriter) Write(b []byte) (int, error) {
	if w.use.demanding && !w.use.begun {
		return 0, errUnrecorded
	}
	w.begin()
	late := time.Since(w.renewed) > payloadRenew
	if late {
		w.renew()
	}
	n, err := w.c.Response().Write(b)
	w.n += int64(n)
	if err == nil && late {
		err = w.control.Flush()
	}
	if err != nil {
		return n, errors.New("the caller has gone") // the error may hold an address
	}
	return n, nil
}
