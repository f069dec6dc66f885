package bench

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
	"time"
)

// Usage is what this process has used since it began, and the memory that it has now.
type Usage struct {
	// CPU is user and system time; zero where the system does not tell.
	CPU time.Duration
	// Allocs and Bytes are allocations on the heap.
	Allocs, Bytes uint64
	// RSS is the resident memory in bytes; zero where the system does not tell.
	RSS uint64
}

// ReadUsage returns the usage of this process.
func ReadUsage() Usage {
	m := []metrics.Sample{
		{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(m)
	return Usage{
		CPU: cpuTime(), Allocs: m[0].Value.Uint64() + m[1].Value.Uint64(), Bytes: m[2].Value.Uint64(), RSS: resident(),
	}
}

// resident reads the second field of statm, in pages.
func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if fields := bytes.Fields(text); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
		return pages * uint64(os.Getpagesize())
	}
	return 0
}

// Cost is what a request cost the process that served it.
type Cost struct {
	// CPUPer1000 is in seconds for 1,000 requests.
	CPUPer1000 float64 `json:"cpu_seconds_per_1000"`
	Allocs     float64 `json:"allocs_per_request"`
	Bytes      float64 `json:"bytes_per_request"`
	// RSS is the resident memory in bytes at the end.
	RSS uint64 `json:"rss_bytes"`
}

// Since returns what each of n requests cost between an earlier usage and this one.
func (u Usage) Since(before Usage, n uint64) Cost {
	each := 1 / float64(max(n, 1))
	return Cost{
		CPUPer1000: (u.CPU - before.CPU).Seconds() * 1000 * each,
		Allocs:     float64(u.Allocs-before.Allocs) * each,
		Bytes:      float64(u.Bytes-before.Bytes) * each,
		RSS:        u.RSS,
	}
}
