package config

import "fmt"

// Where returns the place where the setting at a path such as nats.sync is given: file:line,
// or "environment NAME". For one that is left out it is the nearest thing around it, or the
// file alone.
func Where(o Options, path string) string {
	l, err := newLoader(o)
	if err != nil {
		return o.Path
	}
	if file, ok := l.readFile(o.Path); ok {
		l.readEnv(file)
	}
	at := l.origin(path)
	if at.line > 0 {
		return fmt.Sprintf("%s:%d", at.file, at.line)
	}
	return at.file
}
