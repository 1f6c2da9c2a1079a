package dataset

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func standin(t *testing.T, seed uint64) *Reading {
	t.Helper()
	r, err := LoadReading(t.Context(), ReadingRequest{Name: "cnn-qa-standin", MaxTrain: 300, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// isEntity reports whether a token of a cloze data set is a marker.
func isEntity(token string) bool { return strings.HasPrefix(token, "@entity") }

// A reader written from the doc comment of clozeSet: it learns each entity's kind
// from its introduction, resolves the pronouns, and looks for verb and object.
func readCloze(document, query []string) (answers []string) {
	verb, object := query[1], query[len(query)-1]
	if query[0] == "the" {
		verb, object = query[3], query[1]
	}
	pronouns := map[string]string{"man": "he", "king": "he", "uncle": "he", "woman": "she", "queen": "she", "aunt": "she", "firm": "it", "club": "it", "bank": "it"}
	kind := map[string]string{}
	latest := map[string]string{}
	for sentence := range strings.SplitSeq(strings.Join(document, " "), " .") {
		words := strings.Fields(sentence)
		if len(words) == 0 {
			continue
		}
		subject := words[0]
		if !isEntity(subject) {
			subject = latest[subject]
		}
		if words[1] == "is" {
			kind[subject] = pronouns[words[3]]
		} else if words[1] == verb && words[3] == object {
			answers = append(answers, subject)
		}
		for _, word := range words {
			if isEntity(word) {
				latest[kind[word]] = word
			}
		}
	}
	return answers
}

func TestClozeNeedsReading(t *testing.T) {
	t.Parallel()
	r := standin(t, 0)
	examples := slices.Concat(r.Train, r.Valid, r.Test)
	right := map[string]int{}
	for i, e := range examples {
		var document, query, entities []string
		for _, id := range e.Document {
			document = append(document, r.Vocabulary[id])
		}
		for _, id := range e.Query {
			query = append(query, r.Vocabulary[id])
		}
		var distinct []string
		for _, token := range document {
			if isEntity(token) {
				entities = append(entities, token)
				if !slices.Contains(distinct, token) {
					distinct = append(distinct, token)
				}
			}
		}
		if len(distinct) < 5 || len(distinct) != len(e.Candidates) || strings.Count(strings.Join(document, " "), " .") < 10 {
			t.Fatalf("example %d has %d entities, %d candidates: %q", i, len(distinct), len(e.Candidates), document)
		}
		answer := r.Answers[e.Answer]
		try := func(name, guess string) {
			if guess == answer {
				right[name]++
			}
		}
		found := readCloze(document, query)
		if len(found) != 1 || found[0] != answer {
			t.Fatalf("example %d: the reader finds %q, the answer is %q\n%q\n%q", i, found, answer, document, query)
		}
		try("first", entities[0])
		try("last", entities[len(entities)-1])
		most := ""
		for _, entity := range distinct {
			if most == "" || count(entities, entity) > count(entities, most) {
				most = entity
			}
		}
		try("most frequent", most)
		// Content words of the question, and the place of the document where most of
		// them stand within a few words.
		content := slices.DeleteFunc(slices.Clone(query), func(w string) bool { return slices.Contains([]string{"the", "was", "by", Placeholder}, w) })
		place, best := 0, -1
		for at := range document {
			overlap := 0
			for _, word := range content {
				if slices.Contains(document[max(0, at-1):min(len(document), at+2)], word) {
					overlap++
				}
			}
			if overlap > best {
				place, best = at, overlap
			}
		}
		near, before, after := "", "", ""
		for distance := 0; distance < len(document); distance++ {
			if at := place - distance; at >= 0 && isEntity(document[at]) {
				if before == "" {
					before = document[at]
				}
				if near == "" {
					near = document[at]
				}
			}
			if at := place + distance; at < len(document) && isEntity(document[at]) {
				if after == "" {
					after = document[at]
				}
				if near == "" {
					near = document[at]
				}
			}
		}
		try("nearest to the overlap", near)
		try("nearest before the overlap", before)
		try("nearest after the overlap", after)
	}
	t.Logf("of %d questions: %v", len(examples), right)
	for name, n := range right {
		if share := float64(n) / float64(len(examples)); share > 0.45 {
			t.Errorf("the heuristic %q answers %.0f%%, want less than 45%%", name, 100*share)
		}
	}
	if len(right) != 6 {
		t.Errorf("%d heuristics were tried, want 6: %v", len(right), right)
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

func TestClozeIsFixedAndLabelled(t *testing.T) {
	t.Parallel()
	r := standin(t, 7)
	if again := standin(t, 7); !cmp.Equal(r, again) {
		t.Error("one seed gave two data sets")
	}
	if other := standin(t, 8); other.SHA256 == r.SHA256 {
		t.Error("two seeds gave one data set")
	}
	const want = "f4ed5541d3f9e644b39dff20c48ce6e75cae7c2004d8549ab111c594adb7f18e"
	if r.SHA256 != want {
		t.Errorf("SHA-256 %s, want %s: figures measured on it could not be compared", r.SHA256, want)
	}
	if !r.Synthetic || !strings.Contains(r.Note, "stand-in for cnn-qa") || !strings.Contains(r.Note, "seed 7") {
		t.Errorf("synthetic %v, note %q; want it labelled", r.Synthetic, r.Note)
	}
	if len(r.Train) != 300 || len(r.Valid) != clozeValid || len(r.Test) != clozeTest || r.Entities != clozeEntities {
		t.Errorf("%d/%d/%d questions and %d entities", len(r.Train), len(r.Valid), len(r.Test), r.Entities)
	}
}
