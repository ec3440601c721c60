package browser

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kycbridge/internal/console"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

var pictures = flag.Bool("pictures", false, "create the pictures in docs/console again")

const (
	pictureDir  = "../../docs/console"
	digestFile  = "digest" // of the templates and assets that the pictures were made of
	largestFile = 96 << 10 // bytes of one picture
)

// pictured are the names of all pictures.
func pictured() []string {
	names := []string{"sign-in", "verification-dark", "payload-phone"}
	names = slices.AppendSeq(names, maps.Keys(everyPage(&traffic.Life{})))
	slices.Sort(names)
	return names
}

// TestPicturesAreCurrent: after a change of a page the pictures must be created again,
// go test ./test/browser -run TestPictures -pictures
func TestPicturesAreCurrent(t *testing.T) {
	if *pictures {
		t.Skip("they are being made")
	}
	made, err := os.ReadFile(filepath.Join(pictureDir, digestFile))
	if err != nil || strings.TrimSpace(string(made)) != console.Digest() {
		t.Errorf(
			"docs/console shows pages of %q, today's are %s: run go test ./test/browser -run TestPictures -pictures",
			made,
			console.Digest(),
		)
	}
	for _, name := range pictured() {
		if info, err := os.Stat(filepath.Join(pictureDir, name+".png")); err != nil || info.Size() > largestFile {
			t.Errorf("the picture %s is missing or large: %v", name, err)
		}
	}
}

// TestPictures creates the pictures.
func TestPictures(t *testing.T) {
	if !*pictures {
		t.Skip("pictures are made with -pictures")
	}
	browser := newBrowser(t)
	b, one := stocked(t)
	p := newTab(t, browser, b)
	p.open("/")
	p.size(1180, 620, "light")
	p.picture("sign-in")
	p.signIn(token)
	p.open("/console/report")
	p.click("//button[text()='Account for everything now']")
	wait.For(t, 10*time.Second, "the report", func() bool { return strings.Contains(p.text(), "Nothing is lost") })
	for name, path := range everyPage(one) {
		p.size(1180, 860, "light")
		p.open(path)
		p.picture(name)
	}
	p.size(1180, 860, "dark")
	p.open(everyPage(one)["verification"])
	p.picture("verification-dark")
	p.size(390, 844, "light")
	p.open(everyPage(one)["payload"])
	p.picture("payload-phone")
	if err := os.WriteFile(filepath.Join(pictureDir, digestFile), []byte(console.Digest()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// picture saves a screenshot of the window, in few colours.
func (p *tab) picture(name string) {
	p.t.Helper()
	taken, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	whole, err := png.Decode(bytes.NewReader(taken))
	if err != nil {
		p.t.Fatal(err)
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, inFewColours(whole)); err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(pictureDir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pictureDir, name+".png"), b.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.t.Logf("%s: %d kB", name, b.Len()>>10)
}

// inFewColours is a picture in its 64 most frequent colours.
func inFewColours(whole image.Image) image.Image {
	const most = 64
	counts := map[color.RGBA]int{}
	area := whole.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			counts[color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA)]++
		}
	}
	frequent := slices.SortedFunc(
		maps.Keys(counts),
		func(a, b color.RGBA) int { return cmp.Compare(counts[b], counts[a]) },
	)
	palette := color.Palette{}
	for _, c := range frequent[:min(most, len(frequent))] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(area, palette)
	nearest := map[color.RGBA]uint8{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA)
			index, known := nearest[c]
			if !known {
				index = uint8(palette.Index(c))
				nearest[c] = index
			}
			few.SetColorIndex(x, y, index)
		}
	}
	return few
}
