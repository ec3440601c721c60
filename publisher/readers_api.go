package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// kindCheck checks whether the consumer of a pull exists.
const kindCheck = "CHECK"

// apiType is the response type of each supported request; other requests are refused.
var apiType = map[string]string{
	"INFO":                    "account_info",
	"STREAM.NAMES":            "stream_names",
	"STREAM.LIST":             "stream_list",
	"STREAM.INFO":             "stream_info",
	"STREAM.MSG.GET":          "stream_msg_get",
	"DIRECT.GET":              "stream_msg_get",
	"CONSUMER.NAMES":          "consumer_names",
	"CONSUMER.LIST":           "consumer_list",
	"CONSUMER.INFO":           "consumer_info",
	"CONSUMER.DELETE":         "consumer_delete",
	"CONSUMER.CREATE":         "consumer_create",
	"CONSUMER.DURABLE.CREATE": "consumer_create",
}

// apiError is an error of the JetStream API.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code,omitempty"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return e.Description }

// Errors with the codes and texts of nats-server, so that clients recognize them.
var (
	errNoStream     = &apiError{Code: http.StatusNotFound, ErrCode: 10059, Description: "stream not found"}
	errNoConsumer   = &apiError{Code: http.StatusNotFound, ErrCode: 10014, Description: "consumer not found"}
	errNoResponders = &apiError{Code: http.StatusServiceUnavailable, Description: "No Responders"} // answer to a pull
	errBadJSON      = &apiError{Code: http.StatusBadRequest, ErrCode: 10025, Description: "invalid JSON"}
)

func errForbidden(why string) *apiError {
	return &apiError{Code: http.StatusForbidden, Description: why}
}

// operation splits the tokens of a request into operation and arguments.
func operation(tokens []string) (op string, of []string) {
	for n := min(len(tokens), 3); n > 0; n-- {
		if op = strings.Join(tokens[:n], "."); apiType[op] != "" {
			return op, tokens[n:]
		}
	}
	return "", nil
}

// ask processes a request other than a pull or an acknowledgement.
func (r *reader) ask(q request) {
	if r.asking.Wait(r.ctx) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, askTimeout)
	defer cancel()
	switch q.kind {
	case kindWatch:
		r.watch(q)
	case kindCheck:
		r.check(ctx, q)
	default:
		op, of := operation(q.rest)
		answer, err := r.answer(ctx, op, of, q)
		r.reply(q, op, answer, err)
	}
}

// reply sends the answer or the error of an operation. If both are nil, the server answers the reader directly.
func (r *reader) reply(q request, op string, answer map[string]any, err error) {
	var apiErr *apiError
	switch {
	case errors.As(err, &apiErr) && apiErr.Code == http.StatusForbidden:
		r.refuse(q, op)
	case err == nil || apiErr != nil:
		r.o.Observe(r.owner, ReaderServed)
	default:
		r.o.Observe(r.owner, ReaderDropped)
		apiErr = &apiError{Code: http.StatusServiceUnavailable, Description: "JetStream does not answer"}
	}
	switch {
	case q.to == "" || answer == nil && apiErr == nil:
	case apiErr != nil && op == "DIRECT.GET":
		r.status(q.to, apiErr)
	case apiErr != nil:
		r.send(q.to, op, map[string]any{"error": apiErr})
	default:
		r.send(q.to, op, answer)
	}
}

// send sends an answer of the API.
func (r *reader) send(to, op string, answer map[string]any) {
	if kind := apiType[op]; kind != "" {
		answer["type"] = "io.nats.jetstream.api.v1." + kind + "_response"
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // subjects contain characters that HTML would escape
	if e.Encode(answer) == nil {
		_ = r.conn.nc.Publish(to, bytes.TrimSpace(body.Bytes())) // a lost answer is requested again by the reader
	}
}

// status sends an error in place of a message.
func (r *reader) status(to string, e *apiError) {
	_ = r.conn.nc.PublishMsg(&nats.Msg{Subject: to,
		Header: nats.Header{"Status": {strconv.Itoa(e.Code)}, "Description": {e.Description}}})
}

// refuse counts a forbidden request and logs it at a limited rate.
func (r *reader) refuse(q request, op string) {
	r.o.Observe(r.owner, ReaderRefused)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals.warn(r.o.Log, "a reader of events sends a forbidden request", zap.String("reader", r.owner),
		zap.String("request", op), zap.String("kind", q.kind))
}

// answer is the answer to an operation; nil if the server answers directly.
func (r *reader) answer(ctx context.Context, op string, of []string, q request) (map[string]any, error) {
	ours := len(of) > 0 && of[0] == r.o.Names.events()
	switch {
	case op == "" || q.to == "":
		return nil, errForbidden("a reader of events may not ask that")
	case op == "INFO" && len(of) == 0:
		return accountInfo(), nil
	case op == "STREAM.NAMES" && len(of) == 0, op == "STREAM.LIST" && len(of) == 0:
		return r.streams(ctx, op, q.body)
	case !ours:
		return nil, errNoStream
	case op == "STREAM.INFO" && len(of) == 1:
		return r.streamInfo(ctx)
	case op == "STREAM.MSG.GET" && len(of) == 1, op == "DIRECT.GET":
		return nil, r.get(ctx, op, of, q)
	case strings.HasPrefix(op, "CONSUMER."):
		return r.consumers(ctx, op, of[1:], q.body)
	}
	return nil, errForbidden("a reader of events may not ask that")
}

// api sends a request to the server and reads its answer.
func (r *Readers) api(ctx context.Context, subject string, body any) (map[string]any, error) {
	var raw []byte // the server expects no body for an empty request
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	m, err := r.conn.nc.RequestWithContext(ctx, "$JS.API."+subject, raw)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(m.Data))
	d.UseNumber() // sequences exceed the precision of a float
	var answer map[string]any
	if err := d.Decode(&answer); err != nil {
		return nil, err
	}
	if answer["error"] == nil {
		return answer, nil
	}
	var response struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &response); err != nil {
		return nil, err
	}
	return nil, response.Error
}

// accountInfo is the account information for a reader: JetStream is available.
func accountInfo() map[string]any {
	limits := map[string]any{"max_memory": -1, "max_storage": -1, "max_streams": -1, "max_consumers": mostConsumers,
		"max_ack_pending":         mostAckPending,
		"memory_max_stream_bytes": -1, "storage_max_stream_bytes": -1, "max_bytes_required": false}
	return map[string]any{"memory": 0, "storage": 0, "reserved_memory": 0, "reserved_storage": 0, "streams": 1,
		"consumers": 0,
		"limits":    limits, "api": map[string]any{"level": 0, "total": 0, "errors": 0}}
}

// streams lists the event stream, the only one for a reader.
func (r *reader) streams(ctx context.Context, op string, body []byte) (map[string]any, error) {
	var wanted struct {
		Subject string `json:"subject"`
		Offset  int    `json:"offset"`
	}
	if len(body) > 0 && json.Unmarshal(body, &wanted) != nil {
		return nil, errBadJSON
	}
	list := []any{}
	holds := wanted.Subject == "" || slices.ContainsFunc(r.filters, func(f string) bool { return meet(f, wanted.Subject) })
	if holds && wanted.Offset == 0 {
		list = append(list, r.o.Names.events())
	}
	if op == "STREAM.LIST" && len(list) > 0 {
		info, err := r.streamInfo(ctx)
		if err != nil {
			return nil, err
		}
		list[0] = info
	}
	return map[string]any{"total": len(list), "offset": wanted.Offset, "limit": 1024, "streams": list}, nil
}

// streamInfo is the part of the stream information that a reader may see: the subjects of its events, and
// the number of events if it may read all.
func (r *reader) streamInfo(ctx context.Context) (map[string]any, error) {
	info, err := r.api(ctx, "STREAM.INFO."+r.o.Names.events(), nil)
	if err != nil {
		return nil, err
	}
	if config, ok := info["config"].(map[string]any); ok {
		config["subjects"] = r.filters
		delete(config, "subject_transform")
		delete(config, "republish")
	}
	if r.limited() {
		none := time.Time{}
		info["state"] = map[string]any{"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "first_ts": none,
			"last_ts": none, "consumer_count": 0}
	}
	return info, nil
}

// limited reports whether the reader may read some events only.
func (r *reader) limited() bool {
	return !slices.Contains(r.filters, r.o.Names.EventSubjects())
}

// may reports whether every subject that s matches is one that the reader may read.
func (r *reader) may(s string) bool {
	return slices.ContainsFunc(r.filters, func(f string) bool { return within(s, f) })
}

// getRequest holds the parameters of a request for messages of the stream.
type getRequest struct {
	Seq       uint64   `json:"seq,omitempty"`
	Last      string   `json:"last_by_subj,omitempty"`
	Next      string   `json:"next_by_subj,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	StartTime string   `json:"start_time,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	UpToSeq   uint64   `json:"up_to_seq,omitempty"`
	UpToTime  string   `json:"up_to_time,omitempty"`
	NoHeaders bool     `json:"no_hdr,omitempty"`
}

const (
	mostGot   = 1000    // messages of one request
	mostBytes = 8 << 20 // of these messages: half of the buffer of one connection
)

// get forwards a request for messages of the stream.
func (r *reader) get(ctx context.Context, op string, of []string, q request) error {
	subject := "$JS.API." + op + "." + strings.Join(of, ".")
	if len(of) > 1 { // the last message on a subject
		if last := strings.Join(of[1:], "."); !r.may(last) {
			return errForbidden("this reader may not read " + last)
		}
		return r.passGet(ctx, subject, 1, request{to: q.to})
	}
	var asked getRequest
	if json.Unmarshal(q.body, &asked) != nil {
		return errBadJSON
	}
	subjects := slices.DeleteFunc(append(slices.Clone(asked.MultiLast), asked.Last, asked.Next),
		func(s string) bool { return s == "" })
	if r.limited() && (len(subjects) == 0 || !all(subjects, r.may)) {
		return errForbidden("this reader may read by the subjects of its own events only")
	}
	if asked.Batch > mostGot || len(asked.MultiLast) > mostGot {
		return errBadRequest("more messages than are given at once")
	}
	if asked.Batch > 1 || len(asked.MultiLast) > 0 {
		asked.MaxBytes = clamped(asked.MaxBytes, mostBytes)
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	return r.passGet(ctx, subject, max(asked.Batch, len(asked.MultiLast), 1), request{to: q.to, body: body})
}

// passGet forwards when the rate limit permits the messages. The server answers a direct get itself.
// Answers of its API do not cross into another account, so they are forwarded.
func (r *reader) passGet(ctx context.Context, subject string, messages int, q request) error {
	if err := errors.Join(r.o.sendBudget.wait(r.ctx), r.getting.WaitN(r.ctx, messages)); err != nil {
		return err
	}
	if strings.HasPrefix(subject, "$JS.API.DIRECT.") {
		return r.conn.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: q.to, Data: q.body})
	}
	m, err := r.conn.nc.RequestWithContext(ctx, subject, q.body)
	if err != nil {
		return err
	}
	if err := r.conn.nc.Publish(q.to, m.Data); errors.Is(err, nats.ErrMaxPayload) {
		return errBadRequest("the event is too large for this answer: read it by a direct get or a consumer")
	}
	return nil
}

// watch forwards the body of a request to watch a verification, without its headers: a header could set a timer
// of the server, or make the stream treat the request as a duplicate of another one.
func (r *reader) watch(q request) {
	subject := r.o.Names.join(append([]string{"watch"}, q.rest...)...)
	if len(q.rest) != 2 || !literal(subject) {
		r.refuse(q, "")
		return
	}
	r.pass(subject, q)
}

// clamped is n, or most if n exceeds it or is not positive.
func clamped(n, most int) int {
	if n <= 0 || n > most {
		return most
	}
	return n
}

func all[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !is(v) })
}
