package handlers

import "testing"

func FuzzVerifyVerident(f *testing.F) { fuzzVerify(f, VerifyVerident) }
