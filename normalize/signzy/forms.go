package signzy

import "kycbridge/document"

// Forms describes what is special about the JSON of this provider. The member names in extractedFields are
// labels as printed on a document, and the vendor's own sample repeats one
// (https://docs.signzy.com/us-apis/get-journey-results). An answer of the API may wrap the journey.
func Forms() document.Forms {
	return document.Forms{
		Labels: []string{"extractedFields"},
		Names:  []string{"result", "data", "journeyUrl"},
	}
}
