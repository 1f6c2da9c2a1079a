package dataset

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
)

const (
	grammarName  = "grammar"
	grammarBytes = 1_000_000
	grammarTrain = 80 // percent
)

// grammar is text drawn from a small probabilistic grammar of an invented
// programming language. It asks of a model what code does: spelling, brackets
// that close in order, indentation, and a name repeated where its block ends.
//
//	program    = { block } .
//	block      = "begin " name "\n" statement { statement } "end " name "\n" .
//	statement  = assignment | condition | block .
//	assignment = name " = " expression ";\n" .
//	condition  = "if " expression " then " name " = " expression ";\n" .
//	expression = name | digit | "(" expression operator expression ")"
//	           | name "[" expression "]" .
//
// Both names of a block are the same, and every line is indented by two spaces
// for each open block. The grammar is unambiguous: each text arises from one
// sequence of choices, so the bits of the choices are the bits of the text.
type grammar struct{}

func (grammar) describe() Set {
	return Set{
		Name: grammarName, Shape: ShapeText, Status: Generated,
		Summary: "program text drawn from a built-in grammar",
		Parts:   partsOf(grammarBytes, grammarTrain), Vocabulary: grammarVocabulary,
		Split: byPosition(grammarTrain), Licence: ownLicence,
	}
}

func (grammar) locate(context.Context, string) ([]string, error) { return nil, nil }

func (grammar) load(ctx context.Context, _ string, maxBytes int) (*Text, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g := generateGrammar(grammarBytes)
	text := fromOneText(grammarName, g.text, maxBytes, grammarTrain, "")
	text.Synthetic = true
	text.ProcessBPC = g.bits / float64(len(g.text))
	return text, nil
}

var (
	grammarNames     = strings.Fields("alpha beta count depth edge frame gate hidden index key limit matrix node offset queue row")
	grammarDigits    = strings.Split("0123456789", "")
	grammarOperators = []string{" + ", " - ", " * ", " < "}
)

const (
	grammarMaxBlocks     = 3 // open blocks
	grammarMaxExpression = 4 // nested expressions
	grammarSeed          = 0x6269747465726e
	grammarVocabulary    = 45

	ownLicence = "that of this project"
)

// generator writes text until size is reached and adds up what its choices
// cost: −log2 of the probability of each.
type generator struct {
	random *rand.Rand
	size   int
	text   []byte
	bits   float64
}

// generateGrammar returns the first size bytes of the one text there is.
func generateGrammar(size int) *generator {
	g := &generator{random: rand.New(rand.NewPCG(grammarSeed, 0)), size: size}
	for !g.full() {
		g.block(0)
	}
	g.text = g.text[:size]
	return g
}

func (g *generator) full() bool { return len(g.text) >= g.size }

func (g *generator) write(s string) { g.text = append(g.text, s...) }

func (g *generator) indent(depth int) { g.write(strings.Repeat("  ", depth)) }

// choose picks an index with probability weights[i] / Σ weights. Past the end
// of the text it picks 0, which every rule below lets end soon, at no cost.
func (g *generator) choose(weights ...int) int {
	if g.full() {
		return 0
	}
	total := 0
	for _, w := range weights {
		total += w
	}
	ball := g.random.IntN(total)
	i := 0
	for ; ball >= weights[i]; i++ {
		ball -= weights[i]
	}
	g.bits += math.Log2(float64(total) / float64(weights[i]))
	return i
}

// oneOf writes one of equally likely words.
func (g *generator) oneOf(words []string) string {
	word := words[0]
	if !g.full() {
		g.bits += math.Log2(float64(len(words)))
		word = words[g.random.IntN(len(words))]
	}
	g.write(word)
	return word
}

func (g *generator) block(depth int) {
	g.indent(depth)
	g.write("begin ")
	name := g.oneOf(grammarNames)
	g.write("\n")
	g.statement(depth + 1)
	for g.choose(1, 3) == 1 {
		g.statement(depth + 1)
	}
	g.indent(depth)
	g.write("end " + name + "\n")
}

func (g *generator) statement(depth int) {
	nested := 1
	if depth >= grammarMaxBlocks {
		nested = 0
	}
	switch g.choose(5, 2, nested) {
	case 0:
		g.indent(depth)
		g.assignment()
	case 1:
		g.indent(depth)
		g.write("if ")
		g.expression(0)
		g.write(" then ")
		g.assignment()
	case 2:
		g.block(depth)
	}
}

func (g *generator) assignment() {
	g.oneOf(grammarNames)
	g.write(" = ")
	g.expression(0)
	g.write(";\n")
}

func (g *generator) expression(depth int) {
	nested, indexed := 2, 1
	if depth >= grammarMaxExpression {
		nested, indexed = 0, 0
	}
	switch g.choose(3, 2, nested, indexed) {
	case 0:
		g.oneOf(grammarNames)
	case 1:
		g.oneOf(grammarDigits)
	case 2:
		g.write("(")
		g.expression(depth + 1)
		g.oneOf(grammarOperators)
		g.expression(depth + 1)
		g.write(")")
	case 3:
		g.oneOf(grammarNames)
		g.write("[")
		g.expression(depth + 1)
		g.write("]")
	}
}
