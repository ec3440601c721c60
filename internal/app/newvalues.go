package app

import (
	"sync"

	"go.uber.org/zap"

	"kycbridge"
)

// Limits of the new values that a process keeps and logs.
const (
	maxPointers     = 100  // of a provider, as labels of the metric
	maxLoggedValues = 1000 // new values, each of which is logged once
)

// otherPointers is the label of all pointers beyond maxPointers.
const otherPointers = "other"

// newValueCounter counts new values, and logs the first occurrence of each in this process.
type newValueCounter struct {
	log     *zap.Logger
	metrics *metrics

	mu       sync.Mutex
	pointers map[string]map[string]bool // by provider: those that are labels
	logged   map[newValueKey]bool
}

// newValueKey identifies a value that is logged once: the same for all accounts of a provider.
type newValueKey struct {
	provider string
	kycbridge.NewValue
}

func newNewValueCounter(log *zap.Logger, m *metrics) *newValueCounter {
	return &newValueCounter{log: log, metrics: m, pointers: map[string]map[string]bool{}, logged: map[newValueKey]bool{}}
}

// add records the new values of a payload.
func (n *newValueCounter) add(p kycbridge.Payload, all []kycbridge.NewValue) {
	for _, v := range all {
		label, first, last := n.register(p.Provider, v)
		n.metrics.newValue(p, v.Kind, label)
		if first {
			n.log.Warn("a payload has fields or values that the schema does not know", zap.String("provider", p.Provider),
				zap.String("account", p.Account),
				zap.String("payload_id", p.ID), zap.String("kind", v.Kind), zap.String("pointer", v.Pointer),
				zap.String("value", v.Value))
		}
		if last {
			n.log.Warn("further new values are counted, and not logged until a restart", zap.Int("logged", maxLoggedValues))
		}
	}
}

// register returns the label of a new value, whether to log it, and whether it is the last one that is logged.
func (n *newValueCounter) register(provider string, v kycbridge.NewValue) (label string, first, last bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pointers[provider] == nil {
		n.pointers[provider] = map[string]bool{}
	}
	label = v.Pointer
	if known := n.pointers[provider]; !known[label] && len(known) < maxPointers {
		known[label] = true
	} else if !known[label] {
		label = otherPointers
	}
	one := newValueKey{provider, v}
	if n.logged[one] || len(n.logged) >= maxLoggedValues {
		return label, false, false
	}
	n.logged[one] = true
	return label, true, len(n.logged) == maxLoggedValues
}
