package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bittern/plugins"
	"bittern/reports/table"
)

// listSettings are the flags of commands that print a list.
type listSettings struct {
	pluginSettings `mapstructure:",squash"`
	Format         string `mapstructure:"format"` // see listFormat; empty if the user gave none
	Wide           bool   `mapstructure:"wide"`
	Data           string `mapstructure:"data"`
}

// The formats of a list.
const (
	formatMarkdown = "markdown"
	formatTerminal = "terminal"
	formatJSON     = "json"
)

var listFormats = []string{formatMarkdown, formatTerminal, formatJSON}

func (p *program) list(command *cobra.Command) (listSettings, error) {
	var settings listSettings
	if err := settle(command, &settings); err != nil {
		return settings, err
	}
	return settings, settings.check()
}

func (s listSettings) check() error {
	if s.Format != "" && !slices.Contains(listFormats, s.Format) {
		return plugins.Problemf("there is no list format %q%s; use one of %s",
			s.Format, plugins.DidYouMean(s.Format, listFormats), strings.Join(listFormats, ", "))
	}
	return nil
}

func listFlags(command *cobra.Command) {
	command.Flags().String("format", "", strings.Join(listFormats, ", ")+"; without it terminal on a terminal and else markdown")
	command.Flags().Bool("wide", false, "all columns, in lines longer than the terminal's")
}

func (p *program) json(value any) error {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// listFormat returns the format of a list: the one that the user asked for, or else one for
// people on a terminal and Markdown elsewhere.
func (p *program) listFormat(settings listSettings) string {
	switch {
	case settings.Format != "":
		return settings.Format
	case p.stdout.columns() > 0:
		return formatTerminal
	}
	return formatMarkdown
}

// writeTable writes a table fitted to the terminal, or as Markdown with one line for each row.
func (p *program) writeTable(t *table.Table, settings listSettings) error {
	if p.listFormat(settings) != formatTerminal {
		return t.Write(p.stdout)
	}
	width := p.textWidth()
	if settings.Wide {
		width = 0
	}
	text, left, err := t.Fit(width)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		note := "Left out to fit the terminal: " + strings.Join(left, ", ") + "; --wide shows all."
		text += "\n" + strings.Join(table.Wrap(note, width), "\n") + "\n"
	}
	_, err = fmt.Fprint(p.stdout, text)
	return err
}

// writeParagraph writes one line of text. On a terminal it breaks the line between words.
func (p *program) writeParagraph(text string, settings listSettings) error {
	if p.listFormat(settings) == formatTerminal && !settings.Wide {
		text = strings.Join(table.Wrap(text, p.textWidth()), "\n")
	}
	_, err := fmt.Fprintln(p.stdout, text)
	return err
}

// pipedWidth is the width of text for a terminal if standard output is not one and the variable
// COLUMNS is not set.
const pipedWidth = 80

// textWidth returns the width of text for a terminal, in characters.
func (p *program) textWidth() int {
	if width := p.stdout.columns(); width > 0 {
		return width
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	return pipedWidth
}
