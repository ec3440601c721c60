package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Readers answers the JetStream requests of event consumers. No request of a reader reaches the server's
// API: each reader has a NATS account of its own, its requests are routed to
// <prefix>.reader.<owner>.<scope>.…, where they are checked, limited, rewritten and sent again. Answers
// and events go to <prefix>.answer.<owner>.…, which only the reader's account imports, as its own inboxes. So
// a reader cannot name an internal subject as a delivery subject, nor access a consumer of another reader
// (decision 38).
type Readers struct {
	conn *Connection
	o    ReadersOptions
	root string // of the subjects of requests, with a trailing dot

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	readers map[string]*reader // by owner and scope
}

// ReadersOptions configure the readers to serve.
type ReadersOptions struct {
	Names Names
	// Owner is the reader to serve; "" serves every reader of the server, except those that are served
	// separately.
	Owner  string
	Others []string // readers that are served separately
	// Filters are the subjects that the reader may read from the stream; nil: they are derived from the scope in
	// the subject of a request.
	Filters []string
	// Nodes are the nodes of the cluster; nil: there is only one server.
	Nodes *Nodes
	// Events: the event stream is on this connection. Watches: requests to watch are handled here.
	Events, Watches bool
	// Observe receives every request: served, refused or dropped. It may be nil.
	Observe func(owner, outcome string)
	Log     *zap.Logger

	sendBudget *budget // of the owner
}

// Outcomes of a reader's request.
const (
	ReaderServed  = "served"
	ReaderRefused = "refused" // it requested something forbidden
	ReaderDropped = "dropped" // it exceeded the limits of concurrent requests
)

// wholeScope is the scope of a reader of all events; any other is the name of a provider.
const wholeScope = "all"

const (
	mostReaders   = 256     // of one process
	readerPending = 8192    // requests of one connection that wait for dispatch
	readerBytes   = 8 << 20 // bytes of these requests
	flowWaiting   = 4096    // pulls of one reader that wait, and as many acknowledgements
	flowLargest   = 1 << 10 // bytes of one pull or acknowledgement
	askWaiting    = 256     // other requests of one reader that wait
	askWorkers    = 2       // other requests of one reader that are processed concurrently
	askTimeout    = 5 * time.Second
	inboxes       = "_INBOX." // prefix of permitted reply subjects
	// longestSubject limits the subject of a request, and a filter of a consumer, in bytes. The request is forwarded with
	// a longer reply subject, and a line of more than 4 KiB makes the server end the connection for good, which all
	// readers share.
	longestSubject = 2 << 10
)

// Sustained limits per second of one reader; bursts are twice as large.
const (
	pullRate = 10000 // events that are pulled
	ackRate  = 20000 // acknowledgements
	getRate  = 2000  // events that are read by sequence or subject
	askRate  = 200   // other requests
)

// NewReaders serves readers on a connection of its own, until Close.
func NewReaders(c *Connection, o ReadersOptions) (*Readers, error) {
	ctx, cancel := context.WithCancel(context.Background())
	if o.Observe == nil {
		o.Observe = func(_, _ string) {}
	}
	c.ignoreDropped() // requests that exceed the queue of a subscription are repeated by the reader
	r := &Readers{conn: c, o: o, root: o.Names.join("reader") + ".", ctx: ctx, cancel: cancel,
		readers: map[string]*reader{}}
	for kind, served := range map[string]bool{kindAPI: o.Events, kindAck: o.Events, kindWatch: o.Watches} {
		if !served {
			continue
		}
		// Processes share the work: each request goes to one of them. A reader that is served separately uses
		// another queue group: with one group, some of its requests would go to the subscription for all readers,
		// which ignores them.
		group := "kycbridge"
		if o.Owner == "" {
			group = "kycbridge-all"
		}
		sub, err := c.nc.QueueSubscribe(r.root+orAny(o.Owner)+".*."+kind+".>", group, r.dispatch)
		if err == nil {
			err = sub.SetPendingLimits(readerPending, readerBytes)
		}
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("serve readers: %w", err)
		}
	}
	if err := c.nc.Flush(); err != nil {
		r.Close()
		return nil, fmt.Errorf("serve readers: %w", err)
	}
	return r, nil
}

// Close ends the service and its connection.
func (r *Readers) Close() {
	r.cancel()
	r.conn.Close()
	r.work.Wait()
}

// Kinds of requests, as in the subject.
const (
	kindAPI   = "API"   // of JetStream
	kindAck   = "ACK"   // of a delivered event
	kindWatch = "WATCH" // to watch a verification
)

// request is a request of a reader.
type request struct {
	kind string
	rest []string // tokens of the subject after $JS.API, $JS.ACK or the prefix and watch
	to   string   // reply subject; "": none is expected
	body []byte

	inbox string // inbox of to, if the nodes may not know it yet
}

// dispatch passes a request to the reader's own workers, or drops it if too many wait: a flood of one
// reader does not affect another.
func (r *Readers) dispatch(m *nats.Msg) {
	tokens := strings.Split(strings.TrimPrefix(m.Subject, r.root), ".")
	if len(tokens) < 4 || slices.Contains(r.o.Others, tokens[0]) {
		return
	}
	owner, scope := tokens[0], tokens[1]
	to, ok := r.answerTo(owner, m.Reply)
	who := r.reader(owner, scope)
	if who == nil || !ok || len(m.Subject) > longestSubject {
		r.o.Observe(owner, ReaderDropped)
		return
	}
	who.receive(request{kind: tokens[2], rest: tokens[3:], to: to, body: m.Data}, inboxOf(m.Reply))
}

// answerTo is the internal subject for the inbox that a reader has named.
func (r *Readers) answerTo(owner, reply string) (string, bool) {
	if reply == "" {
		return "", true
	}
	if !strings.HasPrefix(reply, inboxes) || len(reply) > 256 || !literal(reply) {
		return "", false
	}
	return r.o.Names.join("answer", owner, reply), true
}

// reader finds the reader or starts to serve it; nil if there are too many.
func (r *Readers) reader(owner, scope string) *reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := owner + "." + scope
	who, known := r.readers[key]
	if known || len(r.readers) >= mostReaders || r.ctx.Err() != nil {
		return who
	}
	who = &reader{
		Readers: r, owner: owner, filters: r.filters(scope),
		pulls: make(chan request, flowWaiting), acks: make(chan request, flowWaiting), asks: make(chan request, askWaiting),
		early:   make(chan request, flowWaiting),
		pulling: bounded(pullRate), acking: bounded(ackRate), getting: bounded(getRate), asking: bounded(askRate),
		checked: map[string]time.Time{},
	}
	r.readers[key] = who
	if r.o.Nodes != nil {
		r.work.Go(who.settle)
	}
	r.work.Go(func() { who.run(who.pulls, who.pull) })
	r.work.Go(func() { who.run(who.acks, who.ack) })
	for range askWorkers {
		r.work.Go(func() { who.run(who.asks, who.ask) })
	}
	return who
}

func bounded(perSecond int) *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), 2*perSecond) }

// filters are the subjects that a reader may read from the stream.
func (r *Readers) filters(scope string) []string {
	switch {
	case r.o.Filters != nil:
		return r.o.Filters
	case scope == wholeScope:
		return []string{r.o.Names.EventSubjects()}
	default:
		return []string{r.o.Names.join("event.v1", scope, ">")}
	}
}

// reader is one served reader.
type reader struct {
	*Readers
	owner   string
	filters []string

	// Pulls and acknowledgements are only forwarded; requests that wait for an answer of the server are
	// processed separately.
	pulls, acks, asks                chan request
	pulling, acking, getting, asking *rate.Limiter

	refusals rateLimitedWarning

	// Requests with a new inbox wait until all nodes know it.
	early chan request
	known inboxesKnown

	mu      sync.Mutex
	checked map[string]time.Time // consumers that existed at that time
}

// receive accepts a request, at once or when its inbox is known by all nodes.
func (r *reader) receive(q request, inbox string) {
	if r.o.Nodes == nil || inbox == "" || r.known.has(inbox) {
		r.take(q)
		return
	}
	q.inbox = inbox
	select {
	case r.early <- q:
	default:
		r.o.Observe(r.owner, ReaderDropped)
	}
}

// settle accepts requests when their inboxes are known by all nodes.
func (r *reader) settle() {
	for {
		var all []request
		select {
		case q := <-r.early:
			all = append(all, q)
		case <-r.ctx.Done():
			return
		}
		for range len(r.early) {
			all = append(all, <-r.early)
		}
		r.o.Nodes.Settle(r.ctx)
		for _, q := range all {
			r.known.add(q.inbox)
			r.take(q)
		}
	}
}

// inboxOf is the part of an inbox to which a client subscribes.
func inboxOf(reply string) string {
	first, rest, _ := strings.Cut(reply, ".")
	second, _, _ := strings.Cut(rest, ".")
	if second == "" {
		return ""
	}
	return first + "." + second
}

// inboxesKnown are the most recent inboxes that all nodes know.
type inboxesKnown struct {
	mu       sync.Mutex
	new, old map[string]struct{}
}

const mostInboxes = 4096 // of each of the two maps

func (k *inboxesKnown) has(inbox string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, is := k.new[inbox]
	_, was := k.old[inbox]
	return is || was
}

func (k *inboxesKnown) add(inbox string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.new == nil || len(k.new) >= mostInboxes {
		k.old, k.new = k.new, map[string]struct{}{}
	}
	k.new[inbox] = struct{}{}
}

// take queues a request for processing.
func (r *reader) take(q request) {
	lane, most := r.asks, readerPayload
	switch {
	case q.kind == kindAck:
		lane, most = r.acks, flowLargest
	case q.kind == kindAPI && isNext(q.rest):
		lane, most = r.pulls, flowLargest
	}
	if len(q.body) <= most {
		select {
		case lane <- q:
			return
		default:
		}
	}
	r.o.Observe(r.owner, ReaderDropped)
}

func (r *reader) run(lane chan request, work func(request)) {
	for {
		select {
		case q := <-lane:
			work(q)
		case <-r.ctx.Done():
			return
		}
	}
}

// ack passes on an acknowledgement. One that also pulls is limited like a pull.
func (r *reader) ack(q request) {
	if r.acking.Wait(r.ctx) != nil {
		return
	}
	if next, ok := bytes.CutPrefix(q.body, []byte("+NXT")); ok && !r.mayPull(next) {
		return
	}
	if subject, ok := r.ackSubject(q.rest); ok {
		r.pass(subject, q)
		return
	}
	r.refuse(q, "")
}

// mayPull waits until the events that a pull requests may be sent; false: the reader has gone.
func (r *reader) mayPull(body []byte) bool {
	return r.o.sendBudget.wait(r.ctx) == nil && r.pulling.WaitN(r.ctx, pulledBy(body)) == nil
}

// pull passes on a pull.
func (r *reader) pull(q request) {
	if !r.mayPull(q.body) {
		return
	}
	if subject, ok := r.nextSubject(q); ok {
		r.pass(subject, q)
		return
	}
	r.refuse(q, "")
	if q.to != "" {
		r.status(q.to, errNoResponders)
	}
}

// pulledBy is the number of events that a pull requests, within the limit of a consumer.
func pulledBy(body []byte) int {
	var asked struct {
		Batch int `json:"batch"`
	}
	if n, err := strconv.Atoi(string(bytes.TrimSpace(body))); err == nil {
		asked.Batch = n
	} else {
		_ = json.Unmarshal(body, &asked) // the server refuses an invalid body
	}
	return max(1, min(asked.Batch, mostBatch))
}

// pass forwards a request to the server, which answers the reader directly.
func (r *reader) pass(subject string, q request) {
	r.o.Observe(r.owner, ReaderServed)
	_ = r.conn.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: q.to,
		Data: q.body}) // a lost request is repeated by the reader
}

// ackSubject is the subject for an acknowledgement to a consumer of the reader.
func (r *reader) ackSubject(tokens []string) (string, bool) {
	at := 0 // position of the stream's name: a server may insert domain and account before it
	if len(tokens) >= 9 {
		at = 2
	}
	if len(tokens) < 7 || tokens[at] != r.o.Names.events() || !r.owns(tokens[at+1]) ||
		!literal(strings.Join(tokens, ".")) {
		return "", false
	}
	return "$JS.ACK." + strings.Join(tokens, "."), true
}

// isNext reports whether a request of the API is a pull.
func isNext(tokens []string) bool {
	return len(tokens) == 5 && tokens[0] == "CONSUMER" && tokens[1] == "MSG" && tokens[2] == "NEXT"
}

// nextSubject is the subject for a pull from a consumer of the reader. The existence of the consumer is checked
// separately.
func (r *reader) nextSubject(q request) (string, bool) {
	stream, name := q.rest[3], q.rest[4]
	if stream != r.o.Names.events() || !consumerName(name) || q.to == "" {
		return "", false
	}
	if r.checkDue(name) {
		check := q
		check.kind = kindCheck
		select {
		case r.asks <- check:
		default:
		}
	}
	return "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + r.own(name), true
}

// ownerMark separates the owner from the reader's name for a consumer in the name of the consumer on the server.
// So names of different readers do not collide.
const ownerMark = "~"

func (r *reader) own(name string) string { return r.owner + ownerMark + name }

func (r *reader) owns(consumer string) bool {
	return strings.HasPrefix(consumer, r.owner+ownerMark)
}

// named is the name of a consumer of the reader without the owner.
func (r *reader) named(consumer string) string {
	return strings.TrimPrefix(consumer, r.owner+ownerMark)
}

// consumerName reports whether a reader may use a name for a consumer.
func consumerName(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsAny(s, "~.*>/\\ \t\r\n\x00\x7f")
}

// literal reports whether s is a subject without wildcards.
func literal(s string) bool {
	for t := range strings.SplitSeq(s, ".") {
		if t == "" || t == "*" || t == ">" || strings.ContainsAny(t, " \t\r\n\x00") {
			return false
		}
	}
	return true
}
