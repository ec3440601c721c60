package app

import (
	"sync"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/schemas"
)

// Bounds of what a process remembers and tells of new values, whatever providers send.
const (
	mostPointers = 100  // of a provider, as labels of the metric
	mostTold     = 1000 // new values, each of which is logged once
)

// otherPointers is the label of pointers beyond those that have their own.
const otherPointers = "other"

// newValuesOf looks in a payload of p for what its schemas do not know.
func newValuesOf(set *schemas.Set, p kycbridge.Provider) func(kycbridge.Payload) []kycbridge.NewValue {
	return func(payload kycbridge.Payload) (found []kycbridge.NewValue) {
		doc, faults := p.Document(payload)
		if len(faults) > 0 {
			return nil
		}
		id := p.Identify(doc, payload.Via)
		for _, v := range set.NewValues(p.Name, id.Schema, id.At, doc) {
			found = append(found, kycbridge.NewValue(v))
		}
		return found
	}
}

// wordsOf looks in a payload of p for the places at which its schemas list words.
func wordsOf(set *schemas.Set, p kycbridge.Provider) func(kycbridge.Payload) map[string]bool {
	return func(payload kycbridge.Payload) map[string]bool {
		doc, faults := p.Document(payload)
		if len(faults) > 0 {
			return nil
		}
		id := p.Identify(doc, payload.Via)
		return set.Words(p.Name, id.Schema, id.At, doc)
	}
}

// newcomers counts new values, and logs each the first time that this process meets it.
type newcomers struct {
	log     *zap.Logger
	metrics *metrics

	mu       sync.Mutex
	pointers map[string]map[string]bool // by provider: those that are labels
	told     map[newcomer]bool
}

// newcomer is what is logged once: the same at all accounts of a provider.
type newcomer struct {
	provider string
	kycbridge.NewValue
}

func newNewcomers(log *zap.Logger, m *metrics) *newcomers {
	return &newcomers{log: log, metrics: m, pointers: map[string]map[string]bool{}, told: map[newcomer]bool{}}
}

// met takes note of what was new in a payload.
func (n *newcomers) met(p kycbridge.Payload, all []kycbridge.NewValue) {
	for _, v := range all {
		label, first, last := n.remember(p.Provider, v)
		n.metrics.newValue(p, v.Kind, label)
		if first {
			n.log.Warn("a payload holds what the schema does not know", zap.String("provider", p.Provider), zap.String("account", p.Account),
				zap.String("payload_id", p.ID), zap.String("kind", v.Kind), zap.String("pointer", v.Pointer), zap.String("value", v.Value))
		}
		if last {
			n.log.Warn("further new values are counted, and not logged until a restart", zap.Int("logged", mostTold))
		}
	}
}

// remember returns the label of a new value, and whether it is to be told, as the last of all.
func (n *newcomers) remember(provider string, v kycbridge.NewValue) (label string, first, last bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pointers[provider] == nil {
		n.pointers[provider] = map[string]bool{}
	}
	label = v.Pointer
	if known := n.pointers[provider]; !known[label] && len(known) < mostPointers {
		known[label] = true
	} else if !known[label] {
		label = otherPointers
	}
	one := newcomer{provider, v}
	if n.told[one] || len(n.told) >= mostTold {
		return label, false, false
	}
	n.told[one] = true
	return label, true, len(n.told) == mostTold
}
