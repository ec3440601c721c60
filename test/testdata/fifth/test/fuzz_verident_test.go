package test

import "testing"

func FuzzPathVerident(f *testing.F) { fuzzPath(f, "verident") }
