// Package perminute draws and lists the callbacks of each minute.
package perminute

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"receiver/api"
	"receiver/internal/words"
)

// View is the chart and the table of callbacks a minute.
type View struct {
	api.Traffic
	// Error is why there are no counts.
	Error string
	// Layers are what is stacked, from the bottom, and Ticks what the axis says, from the top.
	Layers []Layer
	Ticks  []int64
	// Busiest is the minute with the most callbacks, Most of them.
	Busiest time.Time
	Most    int64
	// Width is the number of minutes in the chart.
	Width int
	// MayList says that the token may list the callbacks of a minute.
	MayList bool
}

// Layer are the callbacks of one kind.
type Layer struct {
	Name, Class string
	Sum         int64
	// Outline is the path around this layer and those below it.
	Outline string
	of      func(api.TrafficMinute) int64
}

// reasonsShown is how many reasons of refusals have a layer each.
const reasonsShown = 2

// New makes the chart and the table of what was counted.
func New(got api.Traffic) View {
	t := View{Traffic: got, Layers: layers(got.Minutes)}
	last := got.Until
	for _, m := range got.Minutes {
		if n := minuteSum(m); n > t.Most {
			t.Most, t.Busiest = n, m.Minute
		}
		if m.Minute.After(last) {
			last = m.Minute // the clock was set back
		}
	}
	t.Width = t.At(last) + 1
	top := axisTop(t.Most + t.Most/16) // slivers need room
	t.Ticks = []int64{top, top / 2, 0}
	counts, heights := make([]int64, t.Width), make([]int, t.Width)
	for i, layer := range t.Layers {
		for _, m := range got.Minutes {
			if at, n := t.At(m.Minute), layer.of(m); n > 0 {
				counts[at] += n
				heights[at] = min(max(int(counts[at]*chartHeight/top), heights[at]+sliver), chartHeight)
			}
		}
		t.Layers[i].Outline = outline(heights)
	}
	return t
}

// layers are the kinds of callbacks that there are, those that need no attention first.
func layers(minutes []api.TrafficMinute) (all []Layer) {
	reasons := map[string]int64{}
	for _, m := range minutes {
		for reason, n := range m.Refused {
			reasons[reason] += n
		}
	}
	byCount := slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	})
	kinds := []Layer{
		{Name: "accepted", Class: "accepted", of: func(m api.TrafficMinute) int64 { return m.Accepted + m.Unrecognised }},
		{Name: "duplicate", Class: "repeated", of: func(m api.TrafficMinute) int64 { return m.Duplicate + m.Late }},
		{Name: "quarantined or unconfirmed", Class: "held", of: func(m api.TrafficMinute) int64 { return m.Quarantined + m.Unconfirmed }},
	}
	shown := byCount[:min(len(byCount), reasonsShown)]
	for i, reason := range shown {
		kinds = append(kinds, Layer{
			Name: "refused: " + reason, Class: "refused" + strconv.Itoa(i+1), of: func(m api.TrafficMinute) int64 { return m.Refused[reason] },
		})
	}
	kinds = append(kinds,
		Layer{Name: "refused: other reasons", Class: "refused3", of: func(m api.TrafficMinute) (n int64) {
			n = refusedSum(m)
			for _, reason := range shown {
				n -= m.Refused[reason]
			}
			return n
		}},
		Layer{Name: "refused, not recorded", Class: "unrecorded", of: func(m api.TrafficMinute) int64 { return m.Unrecorded }})
	for _, k := range kinds {
		for _, m := range minutes {
			k.Sum += k.of(m)
		}
		if k.Sum > 0 {
			all = append(all, k)
		}
	}
	return all
}

func refusedSum(m api.TrafficMinute) (n int64) {
	for _, of := range m.Refused {
		n += of
	}
	return n
}

func minuteSum(m api.TrafficMinute) int64 {
	return m.Accepted + m.Unrecognised + m.Duplicate + m.Late + m.Quarantined + m.Unconfirmed + m.Unrecorded + refusedSum(m)
}

// axisTop is the end of an axis for values up to the highest: an even number, easy to read.
func axisTop(highest int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, n := range []int64{2, 4, 6, 10} {
			if n*unit >= highest {
				return n * unit
			}
		}
	}
}

// chartHeight is that of the chart in its own units, and it is stretched to what there is; sliver
// is what one callback among thousands has of it.
const chartHeight, sliver = 200, 3

// outline is the path around columns, as a stair of one unit each.
func outline(heights []int) string {
	var path strings.Builder
	fmt.Fprintf(&path, "M0 %d", chartHeight)
	at, run := 0, 0
	for _, h := range append(slices.Clone(heights), 0) {
		if h != at && run > 0 {
			fmt.Fprintf(&path, "h%d", run)
			run = 0
		}
		if h != at {
			fmt.Fprintf(&path, "V%d", chartHeight-h)
			at = h
		}
		run++
	}
	if run > 1 {
		fmt.Fprintf(&path, "h%d", run-1)
	}
	return path.String() + "z"
}

// At is the column of a time.
func (t View) At(at time.Time) int { return max(int(at.Sub(t.Since)/time.Minute), 0) }

// Sum is the number of all callbacks.
func (t View) Sum() (n int64) {
	for _, l := range t.Layers {
		n += l.Sum
	}
	return n
}

// Hours are the times below the chart.
func (t View) Hours() (all []string) {
	for i := range 4 {
		all = append(all, Clock(t.Since.Add(time.Duration(i)*t.Until.Sub(t.Since)/3)))
	}
	return all
}

// Stack are the layers as they are drawn: each covers the part of the one before that is not its
// own.
func (t View) Stack() []Layer {
	all := slices.Clone(t.Layers)
	slices.Reverse(all)
	return all
}

// Percent is the place of a time in the chart, from its left end.
func (t View) Percent(at time.Time) string {
	return strconv.FormatFloat(100*float64(t.At(at))/float64(t.Width), 'f', 1, 64) + "%"
}

// Column is a minute of the chart that leads to its callbacks.
type Column struct {
	X, Title string
	Minute   int64
}

// Columns are the minutes with callbacks.
func (t View) Columns() (all []Column) {
	for _, m := range t.Minutes {
		all = append(all, Column{
			X: strconv.Itoa(t.At(m.Minute)), Title: Clock(m.Minute) + " · " + strconv.FormatInt(minuteSum(m), 10), Minute: m.Minute.Unix() / 60,
		})
	}
	return all
}

// Clock is the time of a minute.
func Clock(t time.Time) string { return t.UTC().Format("15:04") }

// Mark is a mark as the chart shows it.
type Mark struct {
	api.TrafficMark
	X, Class string // its place, and how it looks
	Anchor   string // of its label
	// Label is its kind, or empty where the label before it leaves no room.
	Label string
}

// labelRoom is the part of the chart that a label takes on a narrow screen, in percent.
const labelRoom = 18

// ChartMarks are the marks, oldest first.
func (t View) ChartMarks() (all []Mark) {
	free := 0
	for _, m := range t.Marks {
		at := 100 * t.At(m.Time) / t.Width
		c := Mark{TrafficMark: m, X: t.Percent(m.Time), Anchor: "start"}
		if at > 100-labelRoom {
			c.Anchor = "end"
		}
		if _, known := markWords[m.Kind]; known {
			c.Class = m.Kind
		}
		if at >= free {
			c.Label, free = m.Kind, at+labelRoom
		}
		all = append(all, c)
	}
	return all
}

// Written is a mark as it is written.
type Written struct {
	At   time.Time
	Text string
}

// markWords are the kinds of marks in words.
var markWords = map[string]string{"start": "started", "reload": "reloaded", "keys": "keys changed"}

// marksShown is how many marks are written below the chart.
const marksShown = 6

// Written are the newest marks, newest first.
func (t View) Written() (all []Written) {
	for _, m := range slices.Backward(t.Marks[max(len(t.Marks)-marksShown, 0):]) {
		text := markWords[m.Kind]
		if text = cmp.Or(text, m.Kind); m.Count > 1 {
			text += " " + words.Count(m.Count, "time")
		}
		if len(m.Added) > 0 {
			text += "; new: " + strings.Join(m.Added, ", ")
		}
		if len(m.Removed) > 0 {
			text += "; gone: " + strings.Join(m.Removed, ", ")
		}
		all = append(all, Written{m.Time, text})
	}
	return all
}

// Row is a minute of the table.
type Row struct {
	At                                 time.Time
	Address                            string
	Accepted, Repeated, Aside, Refused int64
	Reasons                            string
}

// Rows are the minutes with callbacks, newest first.
func (t View) Rows() (all []Row) {
	for _, m := range slices.Backward(t.Minutes) {
		r := Row{
			At: m.Minute, Address: Address(m.Minute), Accepted: m.Accepted + m.Unrecognised, Repeated: m.Duplicate + m.Late,
			Aside: m.Quarantined + m.Unconfirmed, Refused: refusedSum(m) + m.Unrecorded,
		}
		var reasons []string
		for _, reason := range slices.Sorted(maps.Keys(m.Refused)) {
			reasons = append(reasons, fmt.Sprintf("%s %d", reason, m.Refused[reason]))
		}
		if m.Unrecorded > 0 {
			reasons = append(reasons, fmt.Sprintf("not recorded %d", m.Unrecorded))
		}
		r.Reasons = strings.Join(reasons, ", ")
		all = append(all, r)
	}
	return all
}

// Address is where the callbacks of a minute are listed.
func Address(at time.Time) string {
	at = at.UTC()
	q := url.Values{"since": {at.Format(time.RFC3339)}, "until": {at.Add(time.Minute).Format(time.RFC3339)}}
	return (&url.URL{Path: "/callbacks", RawQuery: q.Encode()}).RequestURI()
}
