package simulator

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// write sends one JSON answer whole, so that the caller has it before what follows from it happens.
func (p *Platform) write(w http.ResponseWriter, status int, body []byte) {
	send(w, status, "application/json;charset=UTF-8", body)
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; nothing follows from it here
	_ = http.NewResponseController(w).Flush()
}

// refuse answers in the platform's error shape. OC: (a) row 3
func (p *Platform) refuse(w http.ResponseWriter, status int, message string) {
	fields := []field{{"requestId", rand.Text()}, {"message", message}}
	if status >= 500 {
		fields = append(fields, field{"providerMessage", "none: the simulator has no provider"})
	}
	p.write(w, status, p.object(fields))
}

// befall answers with the next fault left, if there is one, and reports whether it did.
func (p *Platform) befall(w http.ResponseWriter, left *[]Answer, f Faults) bool {
	a, ok := p.next(left)
	if !ok {
		return false
	}
	if a.Code == 0 {
		drop()
	}
	p.fault(w, a.Code, f)
	return true
}

func (p *Platform) next(left *[]Answer) (Answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(*left) > 0 {
		a := &(*left)[0]
		if a.Times == 0 {
			*left = (*left)[1:]
			continue
		}
		if a.Times > 0 {
			a.Times--
		}
		return *a, true
	}
	return Answer{}, false
}

// fault answers with a status that the dials ordered.
func (p *Platform) fault(w http.ResponseWriter, status int, f Faults) {
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if !f.HTML {
		p.refuse(w, status, "set by the simulator's dials")
		return
	}
	text := http.StatusText(status)
	send(w, status, "text/html", fmt.Appendf(nil,
		"<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n</body>\r\n</html>\r\n",
		status, text, status, text))
}

// drop ends the connection without an answer; net/http's server takes this panic for exactly that.
func drop() { panic(http.ErrAbortHandler) }

// pause lets a slow answer's time go by, and ends the connection when the caller has gone.
func (p *Platform) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
		drop()
	case <-p.life.ctx.Done():
		drop()
	}
}
