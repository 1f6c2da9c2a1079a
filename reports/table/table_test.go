package table

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestWriteKeepsCellsAsTheyAre(t *testing.T) {
	t.Parallel()
	table := New("what", "time µs", "BPC")
	table.AlignRight(1, 2)
	for _, row := range [][]string{{"a|b", "1.5", "n/a: no\nreason"}, {"stochastic-binary", "12", "1.780"}} {
		if err := table.Append(row...); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	want := `| what              | time µs |               BPC |
|:------------------|--------:|------------------:|
| a\|b              |     1.5 | n/a: no<br>reason |
| stochastic-binary |      12 |             1.780 |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// A plain table breaks headers between words, and nothing else.
func TestPlain(t *testing.T) {
	t.Parallel()
	table := New("quantizer", "deployable BPC", "Δ")
	table.AlignRight(1, 2)
	for _, row := range [][]string{{"stochastic-binary", "1.780 ± 0.004", "+0.1"}, {"none", "1.7", "–"}} {
		if err := table.Append(row...); err != nil {
			t.Fatal(err)
		}
	}
	got, err := table.Plain()
	if err != nil {
		t.Fatal(err)
	}
	want := `quantizer             deployable     Δ
                             BPC
──────────────────────────────────────
stochastic-binary  1.780 ± 0.004  +0.1
none                         1.7     –
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Width(got); got != 38 {
		t.Errorf("the table is %d characters wide, want 38", got)
	}
}

func TestWrapKeepsWordsWhole(t *testing.T) {
	t.Parallel()
	got := strings.Join(Wrap("a bb  ccc dddddddd µ± e", 4), "|")
	if want := "a bb|ccc|dddddddd|µ± e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestWriteTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	table := New("a")
	if err := table.Append("1"); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(full{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write to a full disk = %v, want %v", err, syscall.ENOSPC)
	}
}

func TestAppendRefusesRaggedRows(t *testing.T) {
	t.Parallel()
	if err := New("a", "b").Append("only one"); err == nil {
		t.Error("a row of one cell under two headers was accepted")
	}
}
