package kycbridge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseAge parses a duration that is not negative: as in Go (36h, 90m), or in days (7d). It has a unit: a bare 0 means
// for ever in the configuration, and would be of any age in a command that erases.
func ParseAge(s string) (time.Duration, error) {
	if strings.Trim(s, "+-0") == "" {
		return 0, fmt.Errorf("%q is no age", s)
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is no age", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	age, err := time.ParseDuration(s)
	if err != nil || age < 0 {
		return 0, fmt.Errorf("%q is no age", s)
	}
	return age, nil
}
