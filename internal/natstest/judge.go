package natstest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// Judge says whether a request is answered in the place of the server, and by which text; an empty
// one is the server's word that nobody answers there.
type Judge func(subject string) (answer string, answered bool)

// Refusal is the answer of JetStream to a request that it does not do.
func Refusal(code, errCode int, description string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"err_code":%d,"description":%q}}`, code, errCode, description)
}

// send passes on what a client says, but for the requests that the judge answers.
func (w *Wall) send(from, to net.Conn) {
	if w.judge == nil {
		w.pass(from, to)
		return
	}
	defer to.Close()
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		text := line
		if words := strings.Fields(line); len(words) > 2 && (words[0] == "PUB" || words[0] == "HPUB") {
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return
			}
			payload := make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(r, payload); err != nil {
				return
			}
			text = w.judged(words, line+string(payload))
		}
		if _, err := io.WriteString(to, text); err != nil {
			return
		}
	}
}

// judged is the message of a client, or the answer to it as a message to the client's inbox.
func (w *Wall) judged(words []string, message string) string {
	if request := map[string]int{"PUB": 4, "HPUB": 5}[words[0]]; len(words) != request {
		return message // nobody waits for an answer
	}
	switch answer, answered := w.judge(words[1]); {
	case !answered:
		return message
	case answer == "":
		const nobody = "NATS/1.0 503\r\n\r\n"
		return fmt.Sprintf("HPUB %s %d %d\r\n%s\r\n", words[2], len(nobody), len(nobody), nobody)
	default:
		return fmt.Sprintf("PUB %s %d\r\n%s\r\n", words[2], len(answer), answer)
	}
}
