package dataset

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// clozeSet is a synthetic stand-in for CNN's question answering, made of
// templates, that cannot be answered without reading. A document has 5 to 8 entities,
// each introduced by a sentence that tells its kind,
//
//	@entity7 is a man .   @entity2 is a woman .   @entity31 is a firm .
//
// and then 8 to 12 facts, such as
//
//	@entity7 painted the boat with @entity2 .   he sold the house .
//
// The pronouns he, she and it stand for the man, the woman or the firm whose name
// was written last before the sentence. The question names the verb and the object of
// one fact, in one of two forms, and asks for its subject:
//
//	@placeholder sold the house     the house was sold by @placeholder
//
// Verb and object together occur in one fact; each of them occurs also in a fact about
// another entity. Of 20 questions about 13 are about a fact whose subject is a pronoun
// and before which the name of an entity of another kind was written last, about
// 3 are about another pronoun, and about 4 about a written name. Entities have
// numbers below 50, drawn anew for each example.
type clozeSet struct{}

const (
	clozeEntities = 50
	clozeTrain    = 10_000
	clozeValid    = 1_000
	clozeTest     = 1_000
)

func (clozeSet) describe() Set {
	return Set{
		Name: "cnn-qa-standin", Shape: ShapeReading, Status: StandIn,
		Summary: "synthetic cloze questions from templates: entities, distractors, pronouns",
		Parts:   []int{clozeTrain, clozeValid, clozeTest}, Vocabulary: clozeEntities,
		Split: "drawn independently", Licence: ownLicence,
		Note: "stand-in for cnn-qa, drawn from templates",
	}
}

func (clozeSet) locate(context.Context, string) ([]string, error) { return nil, nil }

func (c clozeSet) load(ctx context.Context, request ReadingRequest) (*Reading, error) {
	set := c.describe()
	train := clozeTrain
	if request.MaxTrain > 0 {
		train = min(train, request.MaxTrain)
	}
	b := newClozeBuilder()
	for part, n := range []int{train, clozeValid, clozeTest} {
		for i := range n {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			b.add(part, drawCloze(request.Seed, part, i))
		}
	}
	r := b.finish(set.Name, request.MaxWords)
	r.Synthetic, r.Split = true, set.Split
	r.Note = fmt.Sprintf("%s with seed %d", set.Note, request.Seed)
	return r, nil
}

var (
	clozeKinds    = [3][]string{{"man", "king", "uncle"}, {"woman", "queen", "aunt"}, {"firm", "club", "bank"}}
	clozePronouns = [3]string{"he", "she", "it"}
	clozeVerbs    = strings.Fields("painted sold bought visited cleaned found")
	clozeObjects  = strings.Fields("boat house garden bridge tower station")
)

// clozeFact is a sentence of a document.
type clozeFact struct {
	subject      int
	verb, object string

	// pronoun is set where the subject is not written, and apart where besides
	// the name that was written last is not the subject's.
	pronoun, apart bool
}

// drawCloze makes question i of a part. It depends on its arguments alone.
func drawCloze(seed uint64, part, i int) *Question {
	random := rand.New(rand.NewPCG(seed, uint64(part)<<32|uint64(i)))
	wantPronoun, wantApart := true, true
	switch ball := random.IntN(20); {
	case ball < 4:
		wantPronoun, wantApart = false, false
	case ball < 7:
		wantApart = false
	}
	for {
		document, facts, numbers := drawDocument(random)
		for _, j := range random.Perm(len(facts)) {
			f := facts[j]
			if f.pronoun != wantPronoun || f.apart != wantApart || !distracted(facts, f) {
				continue
			}
			query := []string{Placeholder, f.verb, "the", f.object}
			if random.IntN(2) == 0 {
				query = []string{"the", f.object, "was", f.verb, "by", Placeholder}
			}
			q := &Question{Document: document, Query: query, Answer: numbers[f.subject]}
			for _, number := range numbers {
				q.Entities = append(q.Entities, Entity{Number: number})
			}
			return q
		}
	}
}

// distracted reports whether others do the same to something else, and something
// else to the same.
func distracted(facts []clozeFact, asked clozeFact) bool {
	verb := slices.ContainsFunc(facts, func(f clozeFact) bool { return f.subject != asked.subject && f.verb == asked.verb })
	object := slices.ContainsFunc(facts, func(f clozeFact) bool { return f.subject != asked.subject && f.object == asked.object })
	return verb && object
}

// drawDocument makes a document, its facts, and the numbers of its entities.
func drawDocument(random *rand.Rand) (document []string, facts []clozeFact, numbers []int) {
	numbers = random.Perm(clozeEntities)[:5+random.IntN(4)]
	kinds := make([]int, len(numbers))
	latest := [3]int{-1, -1, -1} // the entity of each kind whose name was written last
	last := -1                   // the entity whose name was written last
	write := func(entity int) {
		document = append(document, fmt.Sprintf("@entity%d", numbers[entity]))
		latest[kinds[entity]], last = entity, entity
	}
	for entity := range numbers {
		kinds[entity] = random.IntN(len(clozeKinds))
		write(entity)
		words := clozeKinds[kinds[entity]]
		document = append(document, "is", "a", words[random.IntN(len(words))], ".")
	}
	pairs := random.Perm(len(clozeVerbs) * len(clozeObjects))[:8+random.IntN(5)]
	for _, pair := range pairs {
		f := clozeFact{
			subject: random.IntN(len(numbers)),
			verb:    clozeVerbs[pair/len(clozeObjects)], object: clozeObjects[pair%len(clozeObjects)],
		}
		if kind := random.IntN(len(latest)); latest[kind] >= 0 && random.IntN(2) == 0 {
			f.subject, f.pronoun = latest[kind], true
			f.apart = last != f.subject
		}
		if f.pronoun {
			document = append(document, clozePronouns[kinds[f.subject]])
		} else {
			write(f.subject)
		}
		document = append(document, f.verb, "the", f.object)
		if partner := random.IntN(len(numbers)); partner != f.subject && random.IntN(2) == 0 {
			document = append(document, "with")
			write(partner)
		}
		document = append(document, ".")
		facts = append(facts, f)
	}
	return document, facts, numbers
}
