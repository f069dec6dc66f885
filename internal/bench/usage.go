package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Usage is what a process has used since it began. All is zero where the system has no /proc.
type Usage struct {
	// CPU is user and system time of all threads.
	CPU time.Duration
	// Peak is the most resident memory that it had, in bytes.
	Peak uint64
}

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go supports.
const tick = 10 * time.Millisecond

// ReadUsage returns the usage of a process.
func ReadUsage(pid int) (u Usage) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field, the name, may have spaces and parentheses; the times are fields 14 and 15.
	if f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(f) > 12 {
		u.CPU = time.Duration(number(f[11])+number(f[12])) * tick
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, rest, found := bytes.Cut(status, []byte("VmHWM:")); found {
		u.Peak = number(bytes.Fields(rest)[0]) << 10
	}
	return u
}

// number reads a number of the kernel.
func number(text []byte) uint64 {
	n, _ := strconv.ParseUint(string(text), 10, 64)
	return n
}

// Cost is what a request cost the processes that served it.
type Cost struct {
	// CPU is of the program, Servers of the servers beside it, in microseconds for a request.
	CPU     float64 `json:"cpu_us_per_request"`
	Servers float64 `json:"server_cpu_us_per_request"`
	// Peak is the most resident memory that the program had, in bytes.
	Peak uint64 `json:"peak_rss_bytes"`
}

// each is the CPU time since an earlier usage, in microseconds for each of n requests.
func (u Usage) each(before Usage, n uint64) float64 {
	return float64((u.CPU - before.CPU).Microseconds()) / float64(max(n, 1))
}
