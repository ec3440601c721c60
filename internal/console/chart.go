package console

import (
	"fmt"
	"strings"
	"time"
)

// A chart is drawn in a box with units of its own; the page scales it.
const (
	chartWidth  = 576 // two units per bucket
	chartHeight = 96
)

// chart is a small picture of the last day: bars or lines of each series, one point per bucket.
type chart struct {
	Title   string
	Most    string // the highest point, as text
	Summary string // the text for screen readers
	Series  []drawn
	Width   int
	Height  int
}

// drawn is one series as an SVG path.
type drawn struct {
	Name  string
	Class string
	Path  string
}

// series is a value for each bucket.
type series struct {
	name, class string
	of          func(b *bucket) float64
	unit        string
}

var callbackSeries = []series{
	{"callbacks", "line-a", func(b *bucket) float64 { return float64(b.callbacks) }, "in five minutes"},
	{"not accepted", "line-bad", func(b *bucket) float64 { return float64(b.refused) }, "in five minutes"},
}

var verdictSeries = []series{
	{"approved", "line-good", func(b *bucket) float64 { return float64(b.approved) }, "in five minutes"},
	{"rejected", "line-bad", func(b *bucket) float64 { return float64(b.rejected) }, "in five minutes"},
	{"other events", "line-a", func(b *bucket) float64 { return float64(b.other) }, "in five minutes"},
}

// delaySeries is the 95th percentile of the time from receipt to event, in milliseconds.
var delaySeries = []series{{"95 of 100 within", "line-a", p95, "ms"}}

// p95 is the upper bound of the class that contains the 95th percentile.
func p95(b *bucket) float64 {
	total := uint32(0)
	for _, n := range b.delays {
		total += n
	}
	seen := uint32(0)
	for class, n := range b.delays {
		if seen += n; total > 0 && uint64(seen)*100 >= uint64(total)*95 {
			return float64(delays[min(class, len(delays)-1)].Milliseconds())
		}
	}
	return 0
}

// chartOf draws the last day of some accounts together.
func chartOf(title string, now time.Time, days []*accountDay, all []series) chart {
	c := chart{Title: title, Width: chartWidth, Height: chartHeight}
	last := now.UnixNano() / int64(span)
	values := make([][]float64, len(all))
	most := 0.0
	for i, s := range all {
		values[i] = make([]float64, buckets)
		for at := range buckets {
			number := last - int64(buckets-1-at)
			if b := together(days, number); b != nil {
				values[i][at] = s.of(b)
				most = max(most, values[i][at])
			}
		}
	}
	var said []string
	for i, s := range all {
		c.Series = append(c.Series, drawn{s.name, s.class, line(values[i], most)})
		said = append(said, fmt.Sprintf("%s: %.0f %s at most", s.name, highest(values[i]), s.unit))
	}
	c.Most = fmt.Sprintf("%.0f %s", most, all[0].unit)
	c.Summary = title + ". " + strings.Join(said, "; ")
	return c
}

// together adds up the buckets of one time; nil: no account has one.
func together(days []*accountDay, number int64) *bucket {
	var sum *bucket
	for _, d := range days {
		b := &d.buckets[number%int64(buckets)]
		if b.number != number {
			continue
		}
		if sum == nil {
			sum = &bucket{number: number}
		}
		sum.callbacks += b.callbacks
		sum.refused += b.refused
		sum.approved += b.approved
		sum.rejected += b.rejected
		sum.other += b.other
		for i, n := range b.delays {
			sum.delays[i] += n
		}
	}
	return sum
}

func highest(values []float64) (most float64) {
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// line draws a line from left to right; without values it is at zero.
func line(values []float64, most float64) string {
	var b strings.Builder
	step := float64(chartWidth) / float64(len(values)-1)
	for i, v := range values {
		y := float64(chartHeight - 2)
		if most > 0 {
			y -= v / most * (chartHeight - 4)
		}
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, float64(i)*step, y)
	}
	return b.String()
}
