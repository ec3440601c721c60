package event

import "strings"

// HarmlessName reports whether the name of a member of a provider's body may be shown to viewers without permission
// for personal data, in logs and in metrics: a name of the providers' schemas, or words of the vocabulary. A name can
// be anything that a value can: {"Jane Doe": true}. also are further permitted words, as of HarmlessWord.
func HarmlessName(name string, also ...string) bool {
	return memberNames[nameJoiners.Replace(strings.ToLower(name))] || HarmlessWord(name, also...)
}

// nameJoiners removes what providers write between the words of a name.
var nameJoiners = strings.NewReplacer("_", "", "-", "", " ", "")

// memberNames are names of members that are not made of words of the vocabulary, in lower case without joiners. They
// are those of the schemas and the fixtures; TestMemberNamesAreShown finds one that is missing.
var memberNames = setOf(`
aadhaarbackurl aaplicantkycacctype additionalfacechecks addressmatch agentassignmenttime agenttl aliases amc
appdocaddrproofcorrespondence applicability applicantcitizenship asn autocapturecameraloaddelayback
autocapturecameraloaddelayfront backcapturemode backcapturemode2 backcapturemode3 backdoc basicinformation body
botstatus callbackurl captureddata city clientid comaddresstype commaddress1 commaddress2 commaddress3
commaddressproof commcity commcountry commdistrict commemailid commidentityno commmobileno commmobilenocode
commpincode commstate communicationaddress communicationchannels completedat completedutc completestatus
consentedutc containertype countrycode countryiso3 countrystateiso2 createdat createdutc currentemployername
currentstatus datasets dateofbirthmatch dcountryname ddescription definition deletiontimelimit deliveredutc
description detailsoptical deviceintelligence dformat district dmrz dob dobdeclaration
docintelligencecompletedat docpervervideo doctype documentcollection documentintelligence documentintelligence2
documentname documentnumbermatch documentsignatures dtype dyear ekyctype emailaddress en exmtcat
externalapiresponses externalreferenceid extractedfields extras facecoverdetection facegears failureredirecturl
fatcadeclaration fatcarelperson fatcataxjurisdiction fdsidlist firstname flowid forms fraudscore
frontcapturemode frontcapturemode2 frontcapturemode3 frontdoc fullnamematch guardian'sname idexpired idtype
idtype2 imageqa imagequality inpersonverification inqueue instancekey institutename ipaddresses ipvdate
ipvdoneby ipvemployeebranch ipvemployeecode ipvemployeedesignation ipvemployeename ipvinstitutioncode
ipvinstitutionname iscrawler isfacecovered isfrontendjourneyrequired isp issuingcountry issuingcountrycode
isvidouploaded journeyid journeylinkvalidity journeysessionexpiry krainfo lastname latitude livenessconsent
loanamt longitude maritalstatus maskdetection matchpercentage mobilestatus modifiedutc nationalityiso3 nested
notify numberofvideosuploaded options organization overallstatus p pagescount pancopy passiveliveliness percity
perdistrict peridentityno perpincode pincode predictedidtypeback predictedidtypefront processingconfig q
recentabuse redactedutc redirecttime registries relationship representativeid resultdescription selfieanalysis
selfieanalysiscompletedat sex splitaddress startedat stepsummaries street street2 streetaddress
successredirecturl surnameandgivennames timezone uidno updatedat userack userid userinfo v validityseconds
verificationtype verificationtype2
`)
