//go:build e2e && linux

package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

func init() { programs["slow-line"] = slowLine }

// slowLine is a network device, named by its first argument, that gives back each packet
// after the time in the second. It is for kernels without netem.
func slowLine() {
	by, err := time.ParseDuration(os.Args[2])
	if err == nil {
		err = holdUp(os.Args[1], by)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1) //nolint:forbidigo // it is main
}

func holdUp(device string, by time.Duration) error {
	tun, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_TUN | syscall.IFF_NO_PI}
	copy(request.name[:], device)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(tun), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("making device %s: %w", device, errno)
	}
	fmt.Println("ready")
	type packet struct {
		due  time.Time
		data []byte
	}
	held := make(chan packet, 1<<14)
	go func() {
		for p := range held {
			<-time.After(time.Until(p.due))
			_, _ = syscall.Write(tun, p.data) // what is lost is sent again
		}
	}()
	for {
		data := make([]byte, 2048)
		n, err := syscall.Read(tun, data)
		if err != nil {
			if err == syscall.EINTR || err == syscall.EIO { // interrupted, or not up yet
				continue
			}
			return fmt.Errorf("reading from device %s: %w", device, err)
		}
		held <- packet{time.Now().Add(by), data[:n]}
	}
}
