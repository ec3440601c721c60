package app

import (
	"errors"
	"testing"
	"time"
)

// TestRetentionOfOthersIsRepeated: a round that failed has perhaps not finished the erasures of a killed process, so
// the next one follows within minutes, not after a day.
func TestRetentionOfOthersIsRepeated(t *testing.T) {
	now := time.Now()
	if again := nextOthers(now, errors.New("the server does not answer")).Sub(now); again > retainEvery {
		t.Errorf("after an error again in %s", again)
	}
	if again := nextOthers(now, nil).Sub(now); again != retainOthers {
		t.Errorf("after a whole round again in %s", again)
	}
}
