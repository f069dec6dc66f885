package storefolder

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/publish/conn"
)

// holderFile names the process that holds a folder, and its command. It is for messages only, and
// may be missing.
const holderFile = "receiver.holder"

// holder is the process that holds a folder, as far as that is known.
type holder struct {
	pid, command string
}

// noteHolder notes that this process holds the folder. If the disk is full, it continues without.
func noteHolder(folder string) {
	path := filepath.Join(folder, holderFile)
	half := path + ".new" // so that no process reads half a line
	if os.WriteFile(half, fmt.Appendf(nil, "%d %s\n", os.Getpid(), commandOf(os.Args)), 0o600) != nil || os.Rename(half, path) != nil {
		_ = os.Remove(half)
	}
}

// holderOf returns the process that holds a folder. A process that only reads leaves no note.
func holderOf(folder string) holder {
	line, err := os.ReadFile(filepath.Join(folder, holderFile))
	pid, command, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	if err != nil || !alive(pid) {
		return holder{}
	}
	return holder{pid, command}
}

func (h holder) String() string {
	if h.pid == "" {
		return "locked by an unknown process, such as a command that copies the folder (`receiver audit verify`)"
	}
	return fmt.Sprintf("locked by process %s, `%s`", h.pid, h.command)
}

// isCommand reports whether the wait for the folder is short: every command but serve releases it
// soon.
func (h holder) isCommand() bool { return !strings.HasSuffix(h.command, " serve") }

// plainWord matches the words of a command of this program. Nothing else is written to the file:
// values of flags may be secrets or job data.
var plainWord = regexp.MustCompile(`^[a-z]{2,16}$`)

// commandOf returns the name of the program and its first words, up to the first flag behind them.
func commandOf(args []string) string {
	words := []string{filepath.Base(args[0])}
	for i := 1; i < len(args) && len(words) < 3; i++ {
		switch {
		case plainWord.MatchString(args[i]):
			words = append(words, args[i])
		case len(words) > 1:
			return strings.Join(words, " ")
		case strings.HasPrefix(args[i], "-") && !strings.Contains(args[i], "="):
			i++ // its value
		}
	}
	return strings.Join(words, " ")
}

// lockTimeout is longer than a command that only checks the folder holds it.
const lockTimeout = 2 * time.Second

// waitForLock waits for a folder that another process holds: up to atMost if that is a command, and
// until ctx is done. It returns ErrInUse with the holder's name.
func waitForLock(ctx context.Context, folder string, atMost time.Duration, log zerolog.Logger) (*folderLock, error) {
	began, said := time.Now(), false
	for {
		lock, ok, err := lockFolder(folder, false)
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", folder, err)
		}
		if ok {
			return lock, nil
		}
		h := holderOf(folder)
		timeout := lockTimeout
		if h.isCommand() {
			timeout = cmp.Or(atMost, timeout)
		}
		switch waited := time.Since(began); {
		case waited >= timeout, ctx.Err() != nil:
			return nil, fmt.Errorf("%w: %s; %v", ErrInUse, folder, h)
		case waited >= lockTimeout/2 && !said:
			said = true
			log.Warn().Str("folder", folder).Str("pid", h.pid).Str("command", h.command).Stringer("timeout", timeout).Msg("waiting for another process to release the folder of the store")
		}
		_ = conn.Sleep(ctx, lockTimeout/100)
	}
}
