//go:build e2e

package main_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"receiver/internal/bench"
)

// uploadTurns is how often each way to upload is measured.
const uploadTurns = 9

// TestUploadAgainstCurl sends one file to one sink by curl -F and by receiver submit, in
// turns, and prints the rows of docs/performance.md. It judges no time: it fails if the
// sink did not get the file whole, each time.
func TestUploadAgainstCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("needs curl (Debian: apt-get install curl)")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the peak of another process's memory is read from Linux's /proc")
	}
	if raceDetector {
		t.Skip("the race detector takes time of its own")
	}
	size := int64(1 << 30)
	if testing.Short() {
		size = 128 << 20
	}
	file := filepath.Join(t.TempDir(), "large.csv")
	sink := &uploadSink{size: size, hash: largeFile(t, file, size)}
	served, alone := configured(t), configured(t)
	start(t, served, "serve").listening(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			url, certificate := sink.open(t, scheme)
			submit := []string{
				"env", "RECEIVER_SOURCES_DEMO_BASE_URL=" + url + "/elements/api-v2", "SSL_CERT_FILE=" + certificate,
				"receiver", "submit", "--object", "contact", "--no-check", "--file", file,
			}
			api, private := configuredAt(t)
			startWith(t, api, "env", append(submit[1:3:3], "receiver", "serve")...).listening(t)
			logUploads(t, size, sink.measure(t, []bench.Lane{
				// Without the settings and the proxy of the current user.
				sink.lane(t, "`curl -F`", alone, curl, "-q", "--noproxy", "*", "--cacert", certificate, "-sS", "--fail-with-body",
					"-F", "file=@"+file, url+"/elements/api-v2/hubs/marketing/bulk/contact"),
				sink.lane(t, "`submit` through `serve`", served, submit...),
				sink.lane(t, "`submit` alone", alone, submit...),
				sink.lane(t, "`curl` through the HTTP API", alone, curl, "-q", "--noproxy", "*", "-sS", "--fail-with-body", "-H", "Content-Type: text/csv",
					"-X", "POST", "-T", file, private+"/v1/sources/demo/jobs?object=contact"),
			}))
		})
	}
}

// open serves the sink, and returns its address and a file with the certificate to trust.
func (s *uploadSink) open(t *testing.T, scheme string) (url, certificate string) {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	certificate = filepath.Join(t.TempDir(), "certificate.pem")
	var trusted []byte
	if scheme == "https" {
		server.StartTLS()
		trusted = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	if err := os.WriteFile(certificate, trusted, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, certificate
}

// lane is a command that uploads the file to the sink; one upload is one request of it.
func (s *uploadSink) lane(t *testing.T, name, dir string, command ...string) bench.Lane {
	return bench.Lane{Name: name, Store: "always", Run: func(context.Context) (bench.Sample, error) {
		s.whole.Store(0)
		began := time.Now()
		p := startWith(t, dir, command[0], command[1:]...)
		peak := peakMemory(t, p)
		took := time.Since(began).Seconds()
		end := p.cmd.ProcessState
		if whole := s.whole.Load(); !end.Success() || whole != 1 {
			return bench.Sample{}, fmt.Errorf("%v, and the sink got %d whole files, want 1: %s", end, whole, tail(p.out.String()+p.log.String()))
		}
		return bench.Sample{
			Result: bench.Result{Requests: 1, Elapsed: took, Rate: 1 / took},
			Cost:   bench.Cost{CPU: float64((end.UserTime() + end.SystemTime()).Microseconds()), Peak: uint64(peak)},
		}, nil
	}}
}

// measure compares every lane with the first.
func (s *uploadSink) measure(t *testing.T, lanes []bench.Lane) bench.Report {
	t.Helper()
	var targets []bench.Target
	for i := range lanes {
		targets = append(targets, bench.Target{Of: i, Figure: bench.ByRate}, bench.Target{Of: i, Figure: bench.ByCPU})
	}
	// Once each for the content, which also brings the file into the page cache.
	s.hashing.Store(true)
	if _, err := bench.Alternate(t.Context(), lanes, nil, 1, nil); err != nil {
		t.Fatal(err)
	}
	s.hashing.Store(false)
	report, err := bench.Alternate(t.Context(), lanes, targets, uploadTurns, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// logUploads prints a row for each lane, with its ratios to the first.
func logUploads(t *testing.T, size int64, r bench.Report) {
	t.Helper()
	rows := fmt.Sprintf("%.0f MiB, %d turns\n", mib(size), r.Alternations)
	rows += "| | MiB/s | / curl | CPU s | / curl | peak MiB |\n| --- | --- | --- | --- | --- | --- |\n"
	for i, l := range r.Lanes {
		rows += fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", l.Name, spread("%.0f", mib(size), l.Rate), spread("%.2f", 1, r.Ratios[2*i].Spread),
			spread("%.2f", 1e-6, l.CPU), spread("%.2f", 1, r.Ratios[2*i+1].Spread), spread("%.1f", mib(1), l.Peak))
	}
	t.Log(rows)
}

// spread prints a median with the least and the greatest, in units of which the values are so many.
func spread(format string, units float64, s bench.Spread) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", units*s.Median, units*s.Low, units*s.High)
}
