package remote

import (
	"cmp"
	"fmt"
	"strings"
)

// The variables that name a receiver as the flags do.
const (
	envURL     = "RECEIVER_URL"
	envContext = "RECEIVER_CONTEXT"
	envToken   = "RECEIVER_TOKEN_FILE"
	envCA      = "RECEIVER_CA_FILE"
	envConfig  = "RECEIVER_CONFIG"
)

// Current is Chosen.By if nothing else was named.
const Current = "the current context"

// Flags name the receiver that a command asks.
type Flags struct{ URL, Context, TokenFile, CAFile string }

// Given reports whether there is any.
func (f Flags) Given() bool { return f != Flags{} }

// Chosen is the receiver that a command asks.
type Chosen struct {
	Context
	// Name is that of the context; empty for an address that was given itself.
	Name string
	// By says what chose it, such as "--url" or "the current context".
	By string
}

// Around is what a choice depends on besides the flags.
type Around struct {
	// Config is the flag that names a configuration.
	Config string
	Getenv func(string) string
	// Here reports whether there is a configuration where it is looked for.
	Here func() bool
	// Contexts reads those of the user.
	Contexts func() (Contexts, error)
}

// Choose returns which receiver a command asks; nil if it works on this machine. A flag is
// stronger than a variable, and a configuration than the current context: on the machine of a
// receiver no command goes elsewhere unless a flag or a variable says so.
func (f Flags) Choose(a Around) (*Chosen, error) {
	url, name := a.Getenv(envURL), a.Getenv(envContext)
	set := envURL
	if url == "" {
		set = envContext
	}
	switch {
	case f.URL != "" && f.Context != "":
		return nil, fmt.Errorf("%w: --url and --context are both given; leave one out", ErrUse)
	case a.Config != "" && f.Given():
		return nil, fmt.Errorf("%w: --config is for the machine of the receiver; leave it out to ask by HTTP", ErrUse)
	case f.URL != "":
		return f.address(f.URL, "--url", a), nil
	case f.Context != "":
		return f.named(f.Context, "--context", a)
	case a.Config != "":
		return nil, nil
	case url != "" && name != "":
		return nil, fmt.Errorf("%w: %s and %s are both set; unset one", ErrUse, envURL, envContext)
	case url+name != "" && a.Getenv(envConfig) != "":
		return nil, fmt.Errorf("%w: %s is set, and %s too; unset one, or give --config, --url or --context", ErrUse, set, envConfig)
	case url != "":
		return f.address(url, envURL, a), nil
	case name != "":
		return f.named(name, envContext, a)
	case a.Here():
		return f.none()
	}
	return f.named("", Current, a)
}

func (f Flags) none() (*Chosen, error) {
	if f.Given() {
		return nil, fmt.Errorf("%w: --token-file and --ca-file need --url or --context", ErrUse)
	}
	return nil, nil
}

// address is a receiver by its address. Files of the environment belong to an address only: the
// token of one receiver is not for another.
func (f Flags) address(url, by string, a Around) *Chosen {
	return &Chosen{Context: Context{
		URL: url, TokenFile: cmp.Or(f.TokenFile, a.Getenv(envToken)), CAFile: cmp.Or(f.CAFile, a.Getenv(envCA)),
	}, By: by}
}

// named is a receiver by its name; an empty one is the current.
func (f Flags) named(name, by string, a Around) (*Chosen, error) {
	all, err := a.Contexts()
	if err != nil {
		return nil, err
	}
	to, there, err := all.Named(name)
	if err != nil {
		return nil, err
	}
	if !there {
		return f.none()
	}
	to.TokenFile, to.CAFile = cmp.Or(f.TokenFile, to.TokenFile), cmp.Or(f.CAFile, to.CAFile)
	return &Chosen{Context: to, Name: cmp.Or(name, all.Current), By: by}, nil
}

// String says what chose the receiver.
func (c *Chosen) String() string {
	if c.Name != "" && c.By != envContext {
		return "context " + c.Name
	}
	return strings.TrimSpace(c.By + " " + c.Name)
}
