package table

import "testing"

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"stochastic-ternary+bn, 4 bits (n=5)":  "stochastic-ternary+bn, 4 bits (n=5)",
		"char_small":                           "char_small",
		"_emphasis_ and __init__":              `\_emphasis\_ and \_\_init\_\_`,
		"<script>alert(1)</script>":            "&lt;script&gt;alert(1)&lt;/script&gt;",
		"&lt;b>":                               "&amp;lt;b&gt;",
		"[link](javascript:x) ![i](x)":         `\[link\](javascript:x) !\[i\](x)`,
		"**bold** `code` ~~gone~~ $x$":         "\\*\\*bold\\*\\* \\`code\\` \\~\\~gone\\~\\~ \\$x\\$",
		"https://example.org, www.example.org": `https:\/\/example.org, www\.example.org`,
		"red\x1b[31m\r\nnext\u202e":            `red\\x1b\[31m\\r\\nnext\\u202e`,
		`back\slash`:                           `back\\slash`,
	} {
		if got := Text(text); got != want {
			t.Errorf("Text(%q) = %s, want %s", text, got, want)
		}
	}
}
