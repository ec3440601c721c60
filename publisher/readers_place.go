package publisher

import (
	"context"
	"encoding/json"
	"strconv"
)

// In earlier versions readers created their consumers themselves, under the names that they chose. For a reader
// that requests such an old consumer, kycbridge creates a new consumer that continues from the position of the old
// one. The position of the old consumer is not changed, because its owner is unknown. Its metadata records which
// readers have continued from it, so that a reader that deletes its new consumer does not continue from it again.
const (
	markPlace = "kycbridge-place-of"  // metadata of a new consumer: the sequence at which it continued
	markTaken = "kycbridge-taken-by-" // prefix of metadata of an old consumer; the owner follows
)

// oldConsumer is the relevant state of a consumer of an earlier version.
type oldConsumer struct {
	Config map[string]any `json:"config"`
	Floor  struct {
		Stream uint64 `json:"stream_seq"`
	} `json:"ack_floor"`
}

// resumeFromOld makes a new durable consumer continue from the position of an old one. A consumer that has done
// so keeps its start sequence and the metadata that records it: the server would refuse a different start.
func (r *reader) resumeFromOld(ctx context.Context, name string, exists bool, c *consumerConfig) error {
	if exists {
		now, err := r.api(ctx, "CONSUMER.INFO."+r.o.Names.events()+"."+r.own(name), nil)
		if err != nil {
			return err
		}
		config, _ := now["config"].(map[string]any)
		if from := metadata(config)[markPlace]; from != "" {
			seq, err := strconv.ParseUint(from, 10, 64)
			if err != nil {
				return err
			}
			c.from(seq)
		}
		return nil
	}
	old, err := r.old(ctx, name)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if old.Floor.Stream > 0 {
		c.from(old.Floor.Stream + 1)
	}
	return r.taken(ctx, name, old)
}

// from sets the start sequence of a consumer.
func (c *consumerConfig) from(seq uint64) {
	c.DeliverPolicy, c.OptStartSeq, c.OptStartTime = "by_start_sequence", seq, ""
	marked := map[string]string{markPlace: strconv.FormatUint(seq, 10)}
	for k, v := range c.Metadata {
		if k != markPlace {
			marked[k] = v
		}
	}
	c.Metadata = marked
}

// takeOver creates a new consumer with the configuration of an old one, for a reader that uses the consumer without
// a request to create it.
func (r *reader) takeOver(ctx context.Context, name string) (map[string]any, error) {
	old, err := r.old(ctx, name)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(old.Config)
	if err != nil {
		return nil, err
	}
	var c consumerConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	c.AckWait, c.Metadata = max(c.AckWait, shortestAck), nil
	if c.MaxAckPending = clamped(c.MaxAckPending, mostAckPending); c.MaxWaiting > 512 {
		c.MaxWaiting = 512
	}
	if err := r.checkLimits(&c); err != nil {
		return nil, err
	}
	exists, err := r.checkConsumerLimit(ctx, name)
	if err != nil || exists {
		return nil, err
	}
	if old.Floor.Stream > 0 {
		c.from(old.Floor.Stream + 1)
	}
	info, err := r.make(ctx, name, c, "create")
	if err != nil {
		return nil, err
	}
	return info, r.taken(ctx, name, old)
}

// old finds a consumer of an earlier version that the reader has not continued from yet.
func (r *reader) old(ctx context.Context, name string) (old oldConsumer, err error) {
	info, err := r.api(ctx, "CONSUMER.INFO."+r.o.Names.events()+"."+name, nil)
	if err != nil {
		return old, err
	}
	raw, err := json.Marshal(info)
	if err == nil {
		err = json.Unmarshal(raw, &old)
	}
	durable, _ := old.Config["durable_name"].(string)
	push, _ := old.Config["deliver_subject"].(string)
	if err == nil && (durable == "" || push != "" || metadata(old.Config)[markTaken+r.owner] != "") {
		return old, errNoConsumer
	}
	return old, err
}

// taken records in the metadata of an old consumer that the reader has continued from it.
func (r *reader) taken(ctx context.Context, name string, old oldConsumer) error {
	marks := metadata(old.Config)
	marks[markTaken+r.owner] = "yes"
	old.Config["metadata"] = marks
	subject := "CONSUMER.CREATE." + r.o.Names.events() + "." + name
	if filter, _ := old.Config["filter_subject"].(string); filter != "" {
		subject += "." + filter
	}
	_, err := r.api(ctx, subject,
		map[string]any{"stream_name": r.o.Names.events(), "config": old.Config, "action": "update"})
	return err
}

// metadata is a copy of the metadata in a consumer's configuration.
func metadata(config map[string]any) map[string]string {
	out := map[string]string{}
	kept, _ := config["metadata"].(map[string]any)
	for k, v := range kept {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
