package page

// ExportAtMost has exports end after fewer records than in operation.
func (p *Page) ExportAtMost(n int) { p.exported = n }
