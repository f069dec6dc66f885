package sealed

import (
	"fmt"
	"math"
	"slices"
	"time"

	"receiver/api"
)

// History is what the view of the checkpoints of a log shows.
type History struct {
	api.CheckpointPage
	Chart  *Chart
	Breaks int
	// First is true of the newest checkpoints.
	First bool
}

// NewHistory returns what is shown of a page of checkpoints; first says that it has the newest.
func NewHistory(page api.CheckpointPage, first bool) History {
	h := History{CheckpointPage: page, First: first}
	h.Chart = newChart(page.Checkpoints, h.Word)
	for _, c := range page.Checkpoints {
		if c.Break.Kind != "" {
			h.Breaks++
		}
	}
	for _, a := range page.Anchors {
		if a.Break.Kind != "" {
			h.Breaks++
		}
	}
	return h
}

// breakWords are the words for breaks.
var breakWords = map[string]string{
	"rolled_back": "rollback", "fork": "fork", "missing": "gap", "checkpoint": "signature", "unsealed": "late", "time": "clock", "tile": "unknown",
}

// Word is the word for a break.
func (h History) Word(b api.CheckpointBreak) string {
	if word, known := breakWords[b.Kind]; known {
		return word
	}
	return b.Kind
}

// New is how many records a checkpoint covers that the one before it does not; empty if that is not
// on the page.
func (h History) New(i int) string {
	if i+1 >= len(h.Checkpoints) {
		return ""
	}
	return fmt.Sprintf("%+d", h.Checkpoints[i].Size-h.Checkpoints[i+1].Size)
}

// The chart of sizes over time, in its own units.
const (
	chartWidth  = 720
	chartHeight = 190
	chartLeft   = 8
	chartTop    = 26 // above it are the words of the cuts
	wordWidth   = 100
)

// Chart draws the sizes over time as lines that end at each break.
type Chart struct {
	Lines        []string // of an SVG path
	Points, Cuts []Point
	From, To     time.Time
	Least, Most  int64
}

// Point is a checkpoint in the chart.
type Point struct {
	X, Y  int
	Word  string // empty where there is no room for it
	Start bool   // the word begins at X; else it ends there
}

// newChart draws checkpoints, newest first; nil of fewer than two.
func newChart(all []api.SealedCheckpoint, word func(api.CheckpointBreak) string) *Chart {
	if len(all) < 2 {
		return nil
	}
	rows := slices.Clone(all)
	slices.Reverse(rows)
	c := &Chart{From: rows[0].Time, To: rows[0].Time, Least: rows[0].Size, Most: rows[0].Size}
	for _, r := range rows {
		c.Least, c.Most = min(c.Least, r.Size), max(c.Most, r.Size)
		if r.Time.Before(c.From) {
			c.From = r.Time
		}
		if r.Time.After(c.To) {
			c.To = r.Time
		}
	}
	line, free := "", math.MinInt // from where on there is room for a word
	for i, r := range rows {
		at := c.place(r)
		if r.Break.Kind != "" {
			cut := at
			if i > 0 {
				cut.X = (c.place(rows[i-1]).X + at.X) / 2
			}
			cut.Start = cut.X < chartWidth/2
			from, to := cut.X-wordWidth, cut.X
			if cut.Start {
				from, to = cut.X, cut.X+wordWidth
			}
			if from >= free {
				cut.Word, free = word(r.Break), to
			}
			c.Cuts, c.Lines, line = append(c.Cuts, cut), append(c.Lines, line), ""
		}
		if line == "" {
			line = fmt.Sprintf("M%d %d", at.X, at.Y)
		} else {
			line += fmt.Sprintf("H%dV%d", at.X, at.Y)
		}
		c.Points = append(c.Points, at)
	}
	c.Lines = slices.DeleteFunc(append(c.Lines, line), func(s string) bool { return s == "" })
	return c
}

// place is where a checkpoint is in the chart.
func (c *Chart) place(r api.SealedCheckpoint) Point {
	share := func(part, whole float64) float64 {
		if whole <= 0 {
			return 0.5
		}
		return part / whole
	}
	x := share(float64(r.Time.Sub(c.From)), float64(c.To.Sub(c.From)))
	y := share(float64(r.Size-c.Least), float64(c.Most-c.Least))
	return Point{
		X: chartLeft + int(x*(chartWidth-2*chartLeft)),
		Y: chartHeight - 8 - int(y*(chartHeight-chartTop-16)),
	}
}
