package page

import (
	"net/http"

	"receiver/internal/checkpage"
)

// checkerPath is the address of the offline checker.
const checkerPath = "/check/" + checkpage.Name

// check is the view that hands out the offline checker.
func (p *Page) check(v *visit) error {
	return v.show("check", "Check", map[string]any{
		"Path": checkerPath, "Name": checkpage.Name, "Size": int64(len(checkpage.Page())), "SHA256": checkpage.SHA256(),
	})
}

// checker answers with the file. It needs no token: it is the same in every copy of the program.
// Its policy is the one that the file states itself, since its script and style are within it.
func checker(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Content-Security-Policy", checkpage.Policy()+"; frame-ancestors 'none'")
	h.Set("Content-Type", mediaType)
	_, _ = w.Write(checkpage.Page()) // a browser that has gone needs it no more
}
