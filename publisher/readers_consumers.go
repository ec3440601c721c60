package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nuid"
)

// Limits of a reader's consumers.
const (
	mostConsumers  = 100 // of one reader
	mostAckPending = 10000
	mostBatch      = 10000 // events of one pull
	mostFilters    = 100
	shortestAck    = time.Second // a shorter acknowledgement wait makes the server redeliver endlessly
	mostText       = 4 << 10     // of description and metadata
)

// consumerConfig holds the settings that a reader may choose for a consumer. Others are refused: delivery
// subjects, and settings that the server reserves.
type consumerConfig struct {
	Name              string            `json:"name,omitempty"`
	Durable           string            `json:"durable_name,omitempty"`
	Description       string            `json:"description,omitempty"`
	DeliverPolicy     string            `json:"deliver_policy,omitempty"`
	OptStartSeq       uint64            `json:"opt_start_seq,omitempty"`
	OptStartTime      string            `json:"opt_start_time,omitempty"`
	AckPolicy         string            `json:"ack_policy,omitempty"`
	AckWait           time.Duration     `json:"ack_wait,omitempty"`
	MaxDeliver        int               `json:"max_deliver,omitempty"`
	BackOff           []time.Duration   `json:"backoff,omitempty"`
	FilterSubject     string            `json:"filter_subject,omitempty"`
	FilterSubjects    []string          `json:"filter_subjects,omitempty"`
	ReplayPolicy      string            `json:"replay_policy,omitempty"`
	MaxWaiting        int               `json:"max_waiting,omitempty"`
	MaxAckPending     int               `json:"max_ack_pending,omitempty"`
	HeadersOnly       bool              `json:"headers_only,omitempty"`
	MaxBatch          int               `json:"max_batch,omitempty"`
	MaxExpires        time.Duration     `json:"max_expires,omitempty"`
	MaxBytes          int               `json:"max_bytes,omitempty"`
	InactiveThreshold time.Duration     `json:"inactive_threshold,omitempty"`
	Replicas          int               `json:"num_replicas,omitempty"`
	Memory            bool              `json:"mem_storage,omitempty"`
	Metadata          map[string]string `json:"metadata,omitempty"`
	PauseUntil        string            `json:"pause_until,omitempty"`
	PriorityGroups    []string          `json:"priority_groups,omitempty"`
	PriorityPolicy    string            `json:"priority_policy,omitempty"`
	PriorityTimeout   time.Duration     `json:"priority_timeout,omitempty"`
}

// consumers answers requests about the reader's own consumers, under the names that the reader chose.
func (r *reader) consumers(ctx context.Context, op string, of []string, body []byte) (map[string]any, error) {
	switch {
	case (op == "CONSUMER.NAMES" || op == "CONSUMER.LIST") && len(of) == 0:
		return r.list(ctx, op)
	case strings.HasSuffix(op, "CREATE"):
		return r.create(ctx, op, of, body)
	case len(of) != 1 || !consumerName(of[0]):
		return nil, errNoConsumer
	case op == "CONSUMER.INFO":
		return r.info(ctx, of[0])
	default:
		r.forget(of[0])
		return r.api(ctx, "CONSUMER.DELETE."+r.o.Names.events()+"."+r.own(of[0]), nil)
	}
}

// info is the server's information about a consumer of the reader.
func (r *reader) info(ctx context.Context, name string) (map[string]any, error) {
	info, err := r.api(ctx, "CONSUMER.INFO."+r.o.Names.events()+"."+r.own(name), nil)
	if missing(err) {
		return r.takeOver(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	return r.renamed(info), nil
}

// missing reports whether the server answers "not found".
func missing(err error) bool {
	apiErr, ok := errors.AsType[*apiError](err)
	return ok && apiErr.Code == http.StatusNotFound
}

// renamed is the server's information about a consumer, with the reader's names.
func (r *reader) renamed(info map[string]any) map[string]any {
	config, _ := info["config"].(map[string]any)
	for _, at := range []map[string]any{info, config} {
		for _, key := range []string{"name", "durable_name"} {
			if name, ok := at[key].(string); ok {
				at[key] = r.named(name)
			}
		}
	}
	return info
}

// list lists all consumers of the reader.
func (r *reader) list(ctx context.Context, op string) (map[string]any, error) {
	names, err := r.mine(ctx)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, name := range names {
		if op == "CONSUMER.NAMES" {
			list = append(list, name)
			continue
		}
		info, err := r.info(ctx, name)
		if missing(err) {
			continue // it was just deleted
		}
		if err != nil {
			return nil, err
		}
		delete(info, "type")
		list = append(list, info)
	}
	return map[string]any{"total": len(list), "offset": 0, "limit": 1024, "consumers": list}, nil
}

// mine are the names of all consumers of the reader.
func (r *reader) mine(ctx context.Context) (names []string, err error) {
	for seen, total := 0, 1; seen < total; {
		raw, err := r.conn.nc.RequestWithContext(ctx, "$JS.API.CONSUMER.NAMES."+r.o.Names.events(),
			fmt.Appendf(nil, `{"offset":%d}`, seen))
		if err != nil {
			return nil, err
		}
		var page struct {
			Total     int       `json:"total"`
			Consumers []string  `json:"consumers"`
			Error     *apiError `json:"error"`
		}
		if err := json.Unmarshal(raw.Data, &page); err != nil {
			return nil, err
		}
		if page.Error != nil {
			return nil, page.Error
		}
		for _, name := range page.Consumers {
			if r.owns(name) {
				names = append(names, r.named(name))
			}
		}
		if len(page.Consumers) == 0 {
			break
		}
		seen, total = seen+len(page.Consumers), page.Total
	}
	slices.Sort(names)
	return names, nil
}

// create handles a request to create or update a consumer of the reader.
func (r *reader) create(ctx context.Context, op string, of []string, body []byte) (map[string]any, error) {
	var asked struct {
		Stream string                     `json:"stream_name"`
		Action string                     `json:"action"`
		Config map[string]json.RawMessage `json:"config"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return nil, errBadJSON
	}
	if asked.Stream != r.o.Names.events() {
		return nil, errBadRequest("the request names another stream than its subject")
	}
	config, err := readConfig(asked.Config)
	if err != nil {
		return nil, err
	}
	name, err := nameOf(op, of, config)
	if err != nil {
		return nil, err
	}
	if err := r.checkLimits(&config); err != nil {
		return nil, err
	}
	exists, err := r.checkConsumerLimit(ctx, name)
	if err != nil {
		return nil, err
	}
	if config.Durable != "" {
		if err := r.resumeFromOld(ctx, name, exists, &config); err != nil {
			return nil, err
		}
	}
	return r.make(ctx, name, config, asked.Action)
}

// make creates or updates a consumer of the reader.
func (r *reader) make(ctx context.Context, name string, config consumerConfig, action string) (map[string]any, error) {
	if config.Name = r.own(name); config.Durable != "" {
		config.Durable = config.Name
	}
	subject := "CONSUMER.CREATE." + r.o.Names.events() + "." + config.Name
	if config.FilterSubject != "" {
		subject += "." + config.FilterSubject
	}
	info, err := r.api(ctx, subject, map[string]any{"stream_name": r.o.Names.events(), "config": config, "action": action})
	if err != nil {
		return nil, err
	}
	r.markChecked(name)
	return r.renamed(info), nil
}

func errBadRequest(why string) *apiError {
	return &apiError{Code: http.StatusBadRequest, Description: why}
}

// readConfig decodes a consumer configuration of a reader. A forbidden setting is an error, unless it has
// its zero value.
func readConfig(said map[string]json.RawMessage) (c consumerConfig, err error) {
	for key, value := range said {
		switch {
		case slices.Contains([]string{"null", "0", `""`, "false", "[]", "{}"}, string(value)):
			delete(said, key)
		case key == "deliver_subject" || key == "deliver_group":
			return c, errForbidden("push consumers are not for readers: make a pull consumer, without deliver_subject")
		}
	}
	raw, err := json.Marshal(said)
	if err != nil {
		return c, errBadJSON
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, errForbidden("a reader cannot make a consumer like that: " + headerText(err.Error()))
	}
	return c, nil
}

// nameOf is the name of the consumer, from the subject or the configuration.
func nameOf(op string, of []string, c consumerConfig) (string, error) {
	names := map[string]bool{c.Name: true, c.Durable: true}
	if len(of) > 0 {
		names[of[0]] = true
	}
	delete(names, "")
	filter := ""
	if len(of) > 1 {
		filter = strings.Join(of[1:], ".")
	}
	switch {
	case len(names) > 1:
		return "", errBadRequest("subject and configuration name different consumers")
	case filter != "" && (filter != c.FilterSubject || op != "CONSUMER.CREATE"):
		return "", errBadRequest("subject and configuration name different filters")
	case len(names) == 0:
		return nuid.Next(), nil
	}
	name := slices.Collect(maps.Keys(names))[0]
	if !consumerName(name) {
		return "", errBadRequest("a consumer cannot be called that: up to 128 characters without spaces and . * > / \\ ~")
	}
	return name, nil
}

// checkLimits limits the cost of a consumer, and its filters.
func (r *reader) checkLimits(c *consumerConfig) error {
	text := len(c.Description)
	for k, v := range c.Metadata {
		text += len(k) + len(v)
	}
	short := func(d time.Duration) bool { return d != 0 && d < shortestAck }
	switch {
	case c.MaxAckPending < 0 || c.MaxAckPending > mostAckPending:
		return errBadRequest(fmt.Sprintf("max_ack_pending must be between 1 and %d", mostAckPending))
	case short(c.AckWait) || slices.ContainsFunc(c.BackOff, short):
		return errBadRequest(fmt.Sprintf("ack_wait must be at least %s", shortestAck))
	case c.MaxWaiting < 0 || c.MaxWaiting > 512 || len(c.BackOff) > 32 || len(c.PriorityGroups) > 8 || c.Replicas < 0 ||
		c.Replicas > 5:
		return errBadRequest("the consumer would cost too much")
	case text > mostText, len(c.FilterSubjects) > mostFilters, len(c.FilterSubject) > longestSubject,
		slices.ContainsFunc(c.FilterSubjects, func(f string) bool { return len(f) > longestSubject }):
		return errBadRequest("the consumer's description, metadata or filters are too long")
	case c.FilterSubject != "" && !isFilter(c.FilterSubject), !all(c.FilterSubjects, isFilter):
		return errBadRequest("a filter of the consumer is no subject: it contains a space or an empty part, or text after >")
	}
	c.MaxBatch = clamped(c.MaxBatch, mostBatch)
	return r.restrictFilters(c)
}

// isFilter reports whether s is a subject, which may contain wildcards. The subject of a request may end with the
// filter, so with any other text the request would not reach the server.
func isFilter(s string) bool {
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		isLast := i == len(tokens)-1
		if !literal(token) && token != "*" && (token != ">" || !isLast) {
			return false
		}
	}
	return true
}

// restrictFilters refuses a filter that exceeds the reader's permissions. If the reader is limited and sets no
// filter, it sets the permitted ones.
func (r *reader) restrictFilters(c *consumerConfig) error {
	wanted := slices.Clone(c.FilterSubjects)
	if c.FilterSubject != "" {
		wanted = append(wanted, c.FilterSubject)
	}
	switch {
	case !r.limited():
		return nil
	case !all(wanted, r.may):
		return errForbidden("this reader may read " + strings.Join(r.filters, ", ") + " only")
	case len(wanted) == 0 && len(r.filters) == 1:
		c.FilterSubject = r.filters[0]
	case len(wanted) == 0:
		c.FilterSubjects = r.filters
	}
	return nil
}

// checkConsumerLimit refuses a consumer above the reader's limit, and reports whether this one exists.
func (r *reader) checkConsumerLimit(ctx context.Context, name string) (exists bool, err error) {
	names, err := r.mine(ctx)
	if err != nil || slices.Contains(names, name) {
		return err == nil, err
	}
	if len(names) >= mostConsumers {
		return false, &apiError{Code: http.StatusBadRequest, ErrCode: 10026,
			Description: fmt.Sprintf("maximum consumers limit reached: %d of this reader", mostConsumers)}
	}
	return false, nil
}

// checkEvery is how often the existence of a consumer with pulls is checked.
const checkEvery = 5 * time.Second

// checkDue reports whether a consumer of the reader was not checked recently.
func (r *reader) checkDue(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.checked[name]) < checkEvery {
		return false
	}
	if len(r.checked) > 4*mostConsumers {
		clear(r.checked)
	}
	r.checked[name] = time.Now()
	return true
}

func (r *reader) markChecked(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checked[name] = time.Now()
}

func (r *reader) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.checked, name)
}

// check verifies that the consumer of a pull exists. If not, it sends the reader the server's answer for a
// missing responder.
func (r *reader) check(ctx context.Context, q request) {
	stream, name := q.rest[3], q.rest[4]
	if _, err := r.api(ctx, "CONSUMER.INFO."+stream+"."+r.own(name), nil); !missing(err) {
		return
	}
	if _, err := r.takeOver(ctx, name); err == nil {
		r.pass("$JS.API.CONSUMER.MSG.NEXT."+stream+"."+r.own(name), q)
		return
	}
	r.forget(name)
	r.status(q.to, errNoResponders)
}
