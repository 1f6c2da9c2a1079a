package dataset

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// The text never changes, or figures measured on it could not be compared.
func TestGrammarIsFixed(t *testing.T) {
	t.Parallel()
	text, err := Load(t.Context(), Request{Name: "grammar"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "7a68f12d9b8d5cc8a190d20a35d9c15c67cf56c24392d492c140808e245702ea"
	if text.SHA256 != want || text.Bytes != grammarBytes || len(text.Vocabulary) != grammarVocabulary {
		t.Errorf("got %s of %d bytes and %d symbols, want %s of %d and %d",
			text.SHA256, text.Bytes, len(text.Vocabulary), want, grammarBytes, grammarVocabulary)
	}
	if !text.Synthetic || text.Note != "" {
		t.Errorf("synthetic %v, note %q; want it labelled", text.Synthetic, text.Note)
	}
	if text.ProcessBPC < 0.5 || text.ProcessBPC > 1 {
		t.Errorf("the process spends %v bits per character, want about 0.68", text.ProcessBPC)
	}
}

func TestGrammarPrefixes(t *testing.T) {
	t.Parallel()
	whole := generateGrammar(5000)
	for _, size := range []int{0, 1, 7, 100, 4999} {
		if g := generateGrammar(size); string(g.text) != string(whole.text[:size]) || g.bits > whole.bits {
			t.Errorf("%d bytes: not the beginning of 5000, or %v bits of %v", size, g.bits, whole.bits)
		}
	}
}

// A parser written from the grammar alone accepts the text and, adding up the
// probabilities of what it recognises, finds the bits that the generator spent.
func TestGrammarBits(t *testing.T) {
	t.Parallel()
	text := string(generateGrammar(30_000).text)
	end := strings.LastIndex(text, "\nend ") + 1
	end += strings.Index(text[end:], "\n") + 1
	p := &parser{rest: text[:end]}
	for p.rest != "" {
		p.block(0)
	}
	if got := generateGrammar(end).bits; math.Abs(got-p.bits) > 1e-9*p.bits {
		t.Errorf("the generator spent %v bits, the parser finds %v", got, p.bits)
	}
}

type parser struct {
	rest string
	bits float64
}

func (p *parser) spend(probability float64) { p.bits -= math.Log2(probability) }

func (p *parser) take(word string) bool {
	rest, ok := strings.CutPrefix(p.rest, word)
	p.rest = rest
	return ok
}

func (p *parser) must(word string) {
	if !p.take(word) {
		panic(fmt.Sprintf("got %.40q, want %q", p.rest, word))
	}
}

func (p *parser) indent(depth int) string { return strings.Repeat("  ", depth) }

func (p *parser) name() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool { return r < 'a' || r > 'z' })
	name := p.rest[:end]
	if !slices.Contains(grammarNames, name) {
		panic(fmt.Sprintf("got %.40q, want a name", p.rest))
	}
	p.rest = p.rest[end:]
	p.spend(1.0 / 16)
	return name
}

func (p *parser) block(depth int) {
	p.must(p.indent(depth) + "begin ")
	name := p.name()
	p.must("\n")
	p.statement(depth + 1)
	for !p.take(p.indent(depth) + "end ") {
		p.spend(3.0 / 4)
		p.statement(depth + 1)
	}
	p.spend(1.0 / 4)
	p.must(name + "\n")
}

func (p *parser) statement(depth int) {
	kinds := 8.0
	if depth == 3 {
		kinds = 7
	}
	switch {
	case strings.HasPrefix(p.rest, p.indent(depth)+"begin "):
		p.spend(1 / kinds)
		p.block(depth)
	case p.take(p.indent(depth) + "if "):
		p.spend(2 / kinds)
		p.expression(0)
		p.must(" then ")
		p.assignment()
	default:
		p.must(p.indent(depth))
		p.spend(5 / kinds)
		p.assignment()
	}
}

func (p *parser) assignment() {
	p.name()
	p.must(" = ")
	p.expression(0)
	p.must(";\n")
}

func (p *parser) expression(depth int) {
	kinds := 8.0
	if depth == 4 {
		kinds = 5
	}
	switch {
	case p.take("("):
		p.spend(2 / kinds)
		p.expression(depth + 1)
		if !slices.ContainsFunc(grammarOperators, p.take) {
			panic(fmt.Sprintf("got %.40q, want an operator", p.rest))
		}
		p.spend(1.0 / 4)
		p.expression(depth + 1)
		p.must(")")
	case p.rest[0] >= '0' && p.rest[0] <= '9':
		p.rest = p.rest[1:]
		p.spend(2 / kinds / 10)
	default:
		p.name()
		if !p.take("[") {
			p.spend(3 / kinds)
			return
		}
		p.spend(1 / kinds)
		p.expression(depth + 1)
		p.must("]")
	}
}
