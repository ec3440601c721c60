package kwikid

import "kycbridge/document"

// Forms describes the JSON of this provider: some objects of a session were observed as JSON inside a
// string.
func Forms() document.Forms {
	return document.Forms{Nested: []string{"extras", "location", "captured_images", "feedback", "summary_data",
		"user_info", "session_data"}}
}
