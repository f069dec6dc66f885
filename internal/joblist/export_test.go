package joblist

// NewBounded is NewSaving with a bound of its own.
func NewBounded(o Options, jobs int) *Projection {
	p := NewSaving(o)
	p.maxJobs = jobs
	return p
}

// NewSaving is NewProjection, but writes a snapshot after each event.
func NewSaving(o Options) *Projection {
	p := NewProjection(o)
	p.snapshotEvery = 1
	return p
}
