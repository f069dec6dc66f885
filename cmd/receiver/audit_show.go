package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/records"
)

func newAuditShow(a *app) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "show RECORD",
		Short: "Show one record with headers, body, verdict and seal",
		Long: `show prints one record, named by stream and sequence as in audit list: the headers as received,
the body, the verdict and the key that verified it, the leaf hash, the checkpoint that seals it,
and other records with the same body. Text is escaped, and binary data is shown in hexadecimal.
--raw writes only the body, byte for byte, for another program. An encrypted body is shown only
with an identity that can decrypt it.`,
		Example: "  receiver audit show JOBS/12\n  receiver audit show ATTEMPTS/7 --raw > body.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, seq, err := records.ParseID(args[0])
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
				d, err := records.Detail(cmd.Context(), cfg, store, stream, seq)
				if err != nil {
					return err
				}
				switch {
				case raw && d.Encrypted != "":
					return errors.New(d.Encrypted)
				case raw:
					_, err = a.out.Write(d.Raw)
					return err
				case a.output == "json":
					return printJSON(a.out, d)
				}
				return printDetail(a.out, d)
			})
		},
	}
	a.identityFlag(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "write only the body, byte for byte")
	return cmd
}

// printDetail shows a record to a person.
func printDetail(w io.Writer, d *auditlog.Detail) error {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, printable(value))
		}
	}
	line("record", d.ID)
	line("subject", d.Subject)
	line("stored", d.Stored.Format("2006-01-02T15:04:05.999999999Z07:00"))
	if !d.Received.IsZero() {
		line("received", d.Received.Format("2006-01-02T15:04:05.999999999Z07:00"))
	}
	line("from", d.Remote)
	verdict := d.Verdict
	if d.Reason != "" {
		verdict += ": " + d.Reason
	}
	line("verdict", verdict)
	line("key", strings.TrimSpace(d.Key+" "+d.Fingerprint))
	line("signature", d.Signature)
	line("operator", d.Operator)
	line("leaf hash", d.LeafHash)
	line("seal", sealText(d.Seal))
	line("body sha256", d.Body)
	line("same body", strings.Join(d.Same, ", "))
	fmt.Fprintln(w, "\nheaders of the record")
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		for _, v := range d.Headers[name] {
			fmt.Fprintf(w, "  %s: %s\n", printable(name), printable(v))
		}
	}
	return printBody(w, d)
}

// notKept says where a body stands that is not in its record.
func notKept(d *auditlog.Detail) string {
	switch {
	case d.Verdict == auditlog.Refused:
		return "not kept: it was over limits.attempt_body"
	case len(d.Same) == 0:
		return "kept once only, by a record that is not there any more"
	}
	return "kept once only, in JOBS or by an earlier record of those with the same body: " + strings.Join(d.Same, ", ")
}

func sealText(s auditlog.Seal) string {
	text := s.State
	if s.Size > 0 {
		text += fmt.Sprintf(" by %s of size %d, root %s", s.Origin, s.Size, s.Root)
	}
	if len(s.Witnesses) > 0 {
		text += ", cosigned by " + strings.Join(s.Witnesses, ", ")
	}
	if s.Why != "" {
		text += " (" + s.Why + ")"
	}
	return text
}

func printBody(w io.Writer, d *auditlog.Detail) error {
	fmt.Fprintf(w, "\nbody, %d bytes\n", d.Size)
	switch {
	case d.Encrypted != "":
		_, err := fmt.Fprintf(w, "  %s\n", printable(d.Encrypted))
		return err
	case !d.BodyKept:
		_, err := fmt.Fprintf(w, "  %s\n", notKept(d))
		return err
	case d.Base64 != nil:
		_, err := io.WriteString(w, hex.Dump(d.Base64))
		return err
	}
	for text := range strings.Lines(d.Text) {
		fmt.Fprintf(w, "  %s\n", printable(strings.TrimSuffix(text, "\n")))
	}
	return nil
}
