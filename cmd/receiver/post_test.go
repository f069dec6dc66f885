package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"receiver/internal/bench"
)

// posted is a request of a script.
type posted struct {
	method, url string
	header      http.Header
	body        []byte
	chunked     bool
}

// postCommand sends a request as curl would, and prints the answer: status, headers but
// for the date, a blank line, body.
func postCommand(ts *testscript.TestScript, neg bool, args []string) {
	q := parsePost(ts, neg, args)
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	var body io.Reader = bytes.NewReader(q.body)
	if q.chunked {
		body = io.MultiReader(body) // of unknown length
	}
	r, err := http.NewRequestWithContext(ctx, q.method, q.url, body)
	ts.Check(err)
	r.Header = q.header
	// Each request has a connection of its own, as those of curl have.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), answer.Status)
	for _, name := range slices.Sorted(maps.Keys(answer.Header)) {
		if name != "Date" {
			fmt.Fprintf(ts.Stdout(), "%s: %s\n", name, strings.Join(answer.Header[name], ", "))
		}
	}
	fmt.Fprintf(ts.Stdout(), "\n%s", text)
}

// floodCommand sends large callbacks that the source's key has not signed.
func floodCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, len(args) == 1, "flood URL")
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	g, err := bench.Start(ctx, bench.Load{
		URL: args[0], Key: bench.Key(signatureKey), Refusals: 1, Body: 60_000, Connections: 4, Rate: 200, Duration: 300 * time.Millisecond,
	})
	ts.Check(err)
	defer g.Close()
	_, err = g.Measure(ctx)
	ts.Check(err)
}

func parsePost(ts *testscript.TestScript, neg bool, args []string) posted {
	const usage = "post [-X METHOD] [-H 'NAME: VALUE'|-H @FILE]… [-key FILE] [-chunked] URL [FILE]"
	q := posted{method: http.MethodPost, header: http.Header{}}
	var key string
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		flag, value := args[0], args[1]
		args = args[1:]
		switch flag {
		case "-chunked":
			q.chunked = true
			continue
		case "-X":
			q.method = value
		case "-key":
			key = strings.TrimSuffix(ts.ReadFile(value), "\n")
		case "-H":
			if file, ok := strings.CutPrefix(value, "@"); ok {
				value = strings.TrimSpace(ts.ReadFile(file))
			}
			name, text, ok := strings.Cut(value, ": ")
			use(ts, neg, ok, usage)
			q.header.Add(name, text)
		default:
			use(ts, neg, false, usage)
		}
		args = args[1:]
	}
	use(ts, neg, len(args) == 1 || len(args) == 2, usage)
	q.url = args[0]
	if len(args) == 2 {
		q.body = []byte(ts.ReadFile(args[1]))
	}
	if key != "" {
		q.header.Add("Elements-Webhook-Signature", sign(key, q.body))
	}
	return q
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
