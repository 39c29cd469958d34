package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// canvas collects the elements of a picture.
type canvas struct{ bytes.Buffer }

// The colors follow the reader's theme; the card brings its own background, so that they always fit each other.
const style = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.muted { fill: #59636e }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12px; fill: #59636e }
.right { text-anchor: end }
.middle { text-anchor: middle }
.card { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0; fill: none }
.edge { stroke: #59636e; stroke-dasharray: 3 3; fill: none }
.axis { stroke: #59636e; fill: none }
.yes { fill: #1a7f37; stroke: none }
.yes-text { fill: #1a7f37; font-weight: 600 }
.yes-line { stroke: #1a7f37; stroke-width: 1.5; fill: none }
.no { stroke: #cf222e; stroke-width: 1.8; fill: none }
.no-text { fill: #cf222e; font-weight: 600 }
.line { stroke: #0969da; stroke-width: 2; fill: none; stroke-linejoin: round }
.area { fill: #0969da; fill-opacity: .12; stroke: none }
.link { stroke: #0969da; stroke-opacity: .55; fill: none }
.bar { fill: #0969da; fill-opacity: .16; stroke: #0969da }
.lost { fill: #cf222e; fill-opacity: .10; stroke: #cf222e; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.muted, .code { fill: #9198a1 }
.card { fill: #0d1117; stroke: #3d444d }
.grid { stroke: #2a313c }
.edge, .axis { stroke: #9198a1 }
.yes, .yes-text { fill: #3fb950 }
.yes-line { stroke: #3fb950 }
.no { stroke: #f85149 }
.no-text { fill: #f85149 }
.line { stroke: #58a6ff }
.area { fill: #58a6ff; fill-opacity: .18 }
.link { stroke: #58a6ff; stroke-opacity: .7 }
.bar { fill: #58a6ff; fill-opacity: .22; stroke: #58a6ff }
.lost { fill: #f85149; fill-opacity: .14; stroke: #f85149 }
}
</style>
`

// newCanvas begins a picture: a card with a title, and a limit's text at the right.
func newCanvas(height int, title, limit, description string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="%s">`+"\n",
		width, height, html.EscapeString(description))
	c.WriteString(style)
	fmt.Fprintf(c, `<rect class="card" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`+"\n", width-1, height-1)
	c.text(24, 32, "title", title)
	c.text(width-24, 32, "code right", limit)
	return c
}

func (c *canvas) end() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

func (c *canvas) text(x, y float64, class, text string) {
	fmt.Fprintf(c, `<text class="%s" x="%s" y="%s">%s</text>`+"\n", class, number(x), number(y), html.EscapeString(text))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	c.path(class, "M", x1, y1, "L", x2, y2)
}

func (c *canvas) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(c, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="3"/>`+"\n", class, number(x), number(y), number(width), number(height))
}

// path draws a path given as its commands and numbers.
func (c *canvas) path(class string, parts ...any) {
	words := make([]string, len(parts))
	for i, part := range parts {
		if x, ok := part.(float64); ok {
			part = number(x)
		}
		words[i] = fmt.Sprint(part)
	}
	fmt.Fprintf(c, `<path class="%s" d="%s"/>`+"\n", class, strings.Join(words, " "))
}

// call draws one call: a dot if it was admitted, else a cross, so that it does not take colors to tell.
func (c *canvas) call(x, y float64, admitted bool) {
	if admitted {
		fmt.Fprintf(c, `<circle class="yes" cx="%s" cy="%s" r="3.6"/>`+"\n", number(x), number(y))
		return
	}
	const r = 2.8
	c.path("no", "M", x-r, y-r, "L", x+r, y+r, "M", x-r, y+r, "L", x+r, y-r)
}

// bracket draws a span and a word on it.
func (c *canvas) bracket(x1, x2, y float64, text string) {
	c.path("yes-line", "M", x1, y-5, "V", y, "H", x2, "V", y-5)
	c.text(x2+8, y+3, "yes-text", text)
}

// number is a coordinate to a tenth of a pixel.
func number(x float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}
