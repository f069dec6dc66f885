package plain

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes rows in columns. It writes each cell as Text does, also into rows.
func Table(w io.Writer, head []string, rows [][]string) error {
	var text strings.Builder
	text.WriteString(strings.Join(head, "\t") + "\n")
	for _, row := range rows {
		for i, cell := range row {
			row[i] = Text(cell)
		}
		text.WriteString(strings.Join(row, "\t") + "\n")
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if _, err := io.WriteString(t, text.String()); err != nil {
		return err
	}
	return t.Flush()
}

// WriteJSON writes a value on one line, as JSON has it.
func WriteJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(JSON(text.Bytes()))
	return err
}
