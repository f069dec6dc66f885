package publish

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
)

// holderFile says which process holds a folder, and what it was called by: nothing is decided
// by it, and it may be missing.
const holderFile = "receiver.holder"

// holder is the process that holds a folder, as far as that is known.
type holder struct {
	pid, command string
}

// noteHolder notes that this process holds the folder. A full disk does not keep it from that.
func noteHolder(folder string) {
	path := filepath.Join(folder, holderFile)
	half := path + ".new" // nobody reads half a line
	if os.WriteFile(half, fmt.Appendf(nil, "%d %s\n", os.Getpid(), commandOf(os.Args)), 0o600) != nil || os.Rename(half, path) != nil {
		_ = os.Remove(half)
	}
}

// holderOf returns the process that holds a folder. One that only reads it leaves no word.
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
		return "held by a process that does not say which it is, such as a command that copies it to read (`receiver audit verify`)"
	}
	return fmt.Sprintf("held by process %s, `%s`", h.pid, h.command)
}

// brief reports whether the folder can be waited for: everybody but serve gives it back soon.
func (h holder) brief() bool { return !strings.HasSuffix(h.command, " serve") }

// plainWord is what a command of this program consists of. Everything else stays out of the
// file: the values of flags may be secrets, or what a job is about.
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

// holdPatience outlasts a command that looks at the folder at the same moment.
const holdPatience = 2 * time.Second

// await waits for a folder that another one holds: for as long as most, if that one gives it
// back soon, and as long as ctx is not done. It returns ErrInUse with the holder's name.
func await(ctx context.Context, folder string, most time.Duration, log zerolog.Logger) (*folderLock, error) {
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
		patience := holdPatience
		if h.brief() {
			patience = cmp.Or(most, patience)
		}
		switch waited := time.Since(began); {
		case waited >= patience, ctx.Err() != nil:
			return nil, fmt.Errorf("%w: %s; %v", ErrInUse, folder, h)
		case waited >= holdPatience/2 && !said:
			said = true
			log.Warn().Str("folder", folder).Str("pid", h.pid).Str("command", h.command).Dur("at_most", patience).Msg("waiting for the folder of the store")
		}
		_ = pause(ctx, holdPatience/100)
	}
}
