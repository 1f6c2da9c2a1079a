package dataset

import "context"

// fileText is a text that lies in the data directory as the one
// file to split by position, or as train, valid and test.
type fileText struct {
	Set

	// trainPercent is the training share of a text of one file.
	trainPercent int

	// spaced marks files that carry a space after every character.
	spaced bool
}

// asPublished names the split of a text that comes in parts.
const asPublished = "as published"

const (
	ptbLicence    = "Wall Street Journal text of the LDC (LDC99T42); widely redistributed for research, no free licence known"
	text8Licence  = "GFDL / CC BY-SA"
	karpathy      = "https://cs.stanford.edu/people/karpathy/char-rnn/"
	mikolov       = "http://www.fit.vutbr.cz/~imikolov/rnnlm/, in simple-examples.tgz"
	mahoney       = "https://mattmahoney.net/dc/textdata.html"
	text8Zip      = "https://mattmahoney.net/dc/text8.zip"
	linuxBytes    = 6_206_996
	warpeaceBytes = 3_258_246
)

// publishedTexts are the texts of Ardakani et al., "Learning Recurrent
// Binary/Ternary Weights" (ICLR 2019), and what stands for those that are hard to
// come by. Lengths and alphabets are the published ones; the checksums are of
// the content.
var publishedTexts = []fileText{
	{Set: Set{
		Name: "warpeace", Shape: ShapeText, Status: Published,
		Summary:   "Tolstoy, War and Peace, in Karpathy's copy",
		Sources:   []Source{{Path: "warpeace/warpeace_input.txt", Bytes: warpeaceBytes, SHA256: "fb66ba999dafe24017cdd59e04c56d385a9c8466993d374fd4c6f08b2142985e"}},
		Downloads: []Download{{URL: karpathy + "warpeace_input.txt", Bytes: warpeaceBytes, Packing: Plain}},
		Described: karpathy, ByHand: "warpeace_input.txt of Karpathy, Johnson and Fei-Fei (2015)",
		Parts: partsOf(warpeaceBytes, 80), Vocabulary: 87, Split: byPosition(80),
		Licence: "public domain in the USA (Project Gutenberg translation)",
	}, trainPercent: 80},
	{Set: Set{
		Name: "ptb-char", Shape: ShapeText, Status: Published,
		Summary: "Penn Treebank as characters, in Mikolov's preprocessing",
		Sources: []Source{
			{Path: "ptb/ptb.char.train.txt", Bytes: 10_034_964, SHA256: "e313d91425e06c4f0a8fb6e881dcce0c291f2a0e9f4dda54833069b122f91da9"},
			{Path: "ptb/ptb.char.valid.txt", Bytes: 786_084, SHA256: "21661f63ec355085879458b6524644d4add5573541b4be14fb52ab2e2e995eb8"},
			{Path: "ptb/ptb.char.test.txt", Bytes: 884_846, SHA256: "1ef5607ac3c463b16e38bfe7900dd3bfc91de5a96e0f21e7eab5188b465b8ebe"},
		},
		Described: mikolov, ByHand: "ptb.char.{train,valid,test}.txt of Mikolov's simple-examples",
		Parts: []int{5_017_482, 393_042, 442_423}, Vocabulary: 50, Split: asPublished,
		Licence: ptbLicence,
	}, spaced: true},
	{Set: Set{
		Name: "linux", Shape: ShapeText, Status: Published,
		Summary: "sources of the Linux kernel, in Karpathy's copy",
		// The git blob is the one of this name in kedartatwawadi/NN_compression.
		Sources:   []Source{{Path: "linux/linux_input.txt", Bytes: linuxBytes, GitBlob: "6277447c2510ae2d0c4abb2a8dcc1fefaa40060b"}},
		Downloads: []Download{{URL: karpathy + "linux_input.txt", Bytes: linuxBytes, Packing: Plain}},
		Described: karpathy, ByHand: "linux_input.txt of Karpathy, Johnson and Fei-Fei (2015)",
		Parts: partsOf(linuxBytes, 90), Vocabulary: 101, Split: byPosition(90),
		Licence: "GPL-2.0",
	}, trainPercent: 90},
	{Set: Set{
		Name: "linux-standin", Shape: ShapeText, Status: StandIn,
		Summary:   "sources of the Linux kernel's own kernel/ folder, release 4.1.15",
		Sources:   []Source{{Path: "linux/linux_kernel_dir_4.1.15.txt", Bytes: linuxBytes, SHA256: "eaa1e2b6a9d20f91cb4ee90279c7a764a7807a831d404b8bb792e980d963e6a2"}},
		Described: "https://www.kernel.org",
		ByHand:    "kernel/**/*.c and *.h of Linux 4.1.15, ordered by the SHA-256 of their path, joined and cut to 6,206,996 bytes",
		Parts:     partsOf(linuxBytes, 90), Vocabulary: 101, Split: byPosition(90),
		Licence: "GPL-2.0",
		Note:    "stand-in: length and alphabet of Karpathy's linux_input.txt, but other files of the kernel in another order",
	}, trainPercent: 90},
	{Set: Set{
		Name: "text8", Shape: ShapeText, Status: Published,
		Summary: "English Wikipedia of 2006, letters and spaces (Mahoney's text8)",
		Sources: []Source{{Path: "text8/text8", Bytes: 100_000_000, SHA256: "6e890197040d37d85beb962ae1f041ff1d9a9ca8d20c7d99c85027eebf51dca7"}},
		Downloads: []Download{{
			URL: text8Zip, Bytes: 31_344_016, SHA256: "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
			Packing: Zip,
		}},
		Described: mahoney, ByHand: "text8, unpacked from text8.zip",
		Parts: partsOf(100_000_000, 90), Vocabulary: 27, Split: byPosition(90),
		Licence: text8Licence,
	}, trainPercent: 90},
	{Set: Set{
		Name: "text8-prefix", Shape: ShapeText, Status: Prefix,
		Summary:   "the beginning of text8: English Wikipedia of 2006, letters and spaces",
		Sources:   []Source{{Path: "text8/text8.first6877825", Bytes: 6_877_825, SHA256: "8c5551457ad85e6f248e016443493f940756c7582473e6bbfcafcbe27fc98836"}},
		Described: mahoney, ByHand: "the first 6,877,825 bytes of text8",
		Parts: partsOf(6_877_825, 90), Vocabulary: 27, Split: byPosition(90),
		Licence: text8Licence,
		Note:    "prefix: the first 6,877,825 of text8's 100,000,000 characters, split within itself",
	}, trainPercent: 90},
}

func (c fileText) load(ctx context.Context, dataDir string, maxBytes int) (*Text, error) {
	parts := make([][]byte, len(c.Sources))
	for i, source := range c.Sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		content, _, err := c.read(dataDir, source)
		if err != nil {
			return nil, err
		}
		if c.spaced {
			content = everySecond(content)
		}
		parts[i] = content
	}
	if len(parts) == 1 {
		return fromOneText(c.Name, parts[0], maxBytes, c.trainPercent, c.Note), nil
	}
	total := 0
	for _, part := range parts {
		total += len(part)
	}
	alphabet := alphabetOf(parts...)
	if maxBytes > 0 && maxBytes < total {
		for i, part := range parts {
			parts[i] = part[:len(part)*maxBytes/total]
		}
	}
	text := assemble(alphabet, parts[0], parts[1], parts[2])
	text.Name, text.Split = c.Name, asPublished
	text.Note = withCap(c.Note, text.Bytes, total)
	return text, nil
}

func everySecond(content []byte) []byte {
	characters := make([]byte, 0, len(content)/2)
	for i := 0; i < len(content); i += 2 {
		characters = append(characters, content[i])
	}
	return characters
}
