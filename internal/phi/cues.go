package phi

// cueList gives flags to words, or to phrases of which one is on each line.
type cueList struct {
	flags   flags
	words   string
	phrases bool
	head    flags // of the first words of phrases
}

// cues returns the words that are known beside the embedded lists. They were
// written for this package.
func cues() []cueList {
	return append(append(numberCues(), personCues()...), placeCues()...)
}

// numberCues tell what a number or a date is.
func numberCues() []cueList {
	return []cueList{
		{flags: flags(cueRecord), words: "mrn emr ehr medrec nhs"},
		{flags: flags(cueRecord) | weak, words: "record records chart charts rec"},
		{flags: flags(cuePlan), words: "hmo ppo medicare medicaid hicn mbi hpn beneficiary"},
		{flags: flags(cuePlan) | weak, words: "insurance insurer ins policy plan member subscriber coverage payer membership group"},
		{flags: flags(cueAccount), words: "acct iban routing"},
		{flags: flags(cueAccount) | weak, words: "account card invoice billing bank"},
		{flags: flags(cueLicense), words: "dea npi passport"},
		{flags: flags(cueLicense) | weak, words: "license licence lic certificate cert dl permit registration"},
		{flags: flags(cueVehicle), words: "vin"},
		{flags: flags(cuePlate), words: "plate plates"},
		{flags: flags(cueVehicle) | weak, words: "vehicle"},
		{flags: flags(cueDevice), words: "imei udi sn"},
		{flags: flags(cueDevice) | weak, words: "serial device pacemaker implant lot"},
		{flags: flags(cueIdent), words: "id ids identifier uid uuid guid fin csn"},
		{flags: flags(cueIdent) | weak, words: "ref reference code case claim confirmation encounter accession specimen ticket order study patient pt employee student visit file site token session"},
		{flags: flags(cueSSN), words: "ssn ssns itin ein nino"},
		{flags: flags(cueSSN) | weak, words: "social"},
		{flags: flags(cuePhone), words: "phone phones tel telephone mobile whatsapp pager voicemail landline"},
		{flags: flags(cuePhone) | weak, words: "call calls cell contact contacts reach text sms ring dial callback"},
		{flags: flags(cueFax), words: "fax faxed facsimile telefax"},
		{flags: flags(cuePublic), words: "ndc isbn issn doi pmid upc version"},
		{flags: ninety, words: "ninety"},
		{flags: flags(cueZIP), words: "zip zipcode postcode postal"},
		{flags: flags(cueFiller), words: "number numbers num no nr nbr"},
		{flags: flags(cueOf), words: "is of was as the a at on my me us her his their security"},
		{flags: month, words: "january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec"},
		{flags: weekday, words: "monday tuesday wednesday thursday friday saturday sunday"},
		{flags: weekdayAbb, words: "mon tue tues wed thu thur thurs fri sat sun"},
		{flags: dated, words: "on since dated date dob until till by birthday born starting started scheduled from before after admitted discharged seen visit visited appointment"},
		{flags: unit, words: units},
		{flags: ageUnit, words: "yo yom yof yr yrs year years y"},
		{flags: domain, words: "com org net edu gov mil int info biz io co uk us ca au de fr es it nl ch at be se no dk fi pl eu health me app dev ai"},
		{flags: scheme, words: "http https ftp ftps sftp www"},
	}
}

// personCues tell where a name may stand, and where none does.
func personCues() []cueList {
	return []cueList{
		{flags: title, words: "mr mrs ms miss mx dr drs prof professor doctor sir madam dame rev reverend sr sra herr frau mme monsieur"},
		{flags: kin, words: people},
		{flags: naming, words: "named called name names surname firstname lastname alias nickname aka namely"},
		{flags: greeting, words: "hi hello hey dear thanks cheers regards sincerely bye goodbye welcome"},
		{flags: condition, words: conditions},
		{flags: eponym, words: eponyms},
		{flags: verbal, words: "was has had said says reports reported denies presented came called calls told took lives needs wants feels got went takes asked complains visited died moved works thinks lost weighs suffers mentioned states stated tested underwent"},
		{flags: everyday | given | givenCommon, words: everydayNames},
		{flags: given | givenCommon, words: moreGiven},
		{flags: family | familyCommon, words: moreFamily},
		{flags: worded, words: "mark grace rose faith joy amber dawn ivy ruby pearl iris lily daisy violet hazel olive holly ginger crystal angel dean clay chase grant hunter mason cooper tanner turner walker carter parker porter reed ross heath cliff glen basil miles pierce drew gene guy bud buck rusty dusty sandy randy candy brandy melody harmony charity destiny trinity hope constance prudence felicity chuck victor rich rob will art bill dale gale jade jasmine laurel robin roman sage stone woody wade willow"},
		{flags: surely, words: "frank jack peter maria mike nick harry bob sally heather martin rob matt ken jay sue ray eddy victor jim tom joe ben carol bill warren rosemary pat ron dan sam tim don randy gene lee wade kit penny kitty patty amir matthew dolly molly robin gail nat earl harold"},
		{flags: function, words: functionWords},
		{flags: chatty, words: chatWords},
		{flags: medical | english, words: medicalWords},
		{flags: acronym, words: acronyms},
	}
}

// placeCues tell where a place may stand, and where none does.
func placeCues() []cueList {
	return []cueList{
		{flags: facility, words: "hospital hospitals hosp clinic clinics infirmary hospice sanatorium polyclinic pharmacy medcenter"},
		{flags: premises, words: "center centre centers memorial general regional health healthcare medical med office offices branch practice institute home campus dental rehab rehabilitation pediatrics orthopedics orthopaedics associates physicians university college school church care surgery ward pavilion"},
		{flags: street, words: "street avenue road lane drive boulevard court terrace parkway highway crescent plaza circle trail alley turnpike parade mews embankment"},
		{flags: streetAbb, words: "st ave av rd ln dr blvd ct pl pkwy hwy cres ter sq cir trl way square place row close gardens walk run loop pike"},
		{flags: transfer, words: "admitted transferred referred discharged presented transported sent taken hospitalized hospitalised released brought rushed visited visiting visits visit"},
		{flags: visit, words: visits},
		{flags: preposed, words: "at in from near to of around outside"},
		{flags: stateCode, words: "al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or pa ri sc sd tn tx ut vt va wa wv wi wy dc pr ab bc mb nb nl ns on pe qc sk nsw vic qld tas"},
		{flags: region, head: regionHead, phrases: true, words: regions},
		{flags: place, head: placeHead, phrases: true, words: knownHospitals + "nyc\nsan fran\nphilly\nvegas\nbrooklyn\nmanhattan\nqueens\nbronx\nharlem\nhollywood\n"},
	}
}

// everydayNames are names that are names in lower case, too: from general
// knowledge, those of the most common in the United States that are nothing else.
const everydayNames = `james john robert michael david william richard joseph thomas charles christopher daniel matthew anthony donald
steven andrew paul joshua kenneth kevin brian timothy ronald jason george edward jeffrey ryan jacob nicholas
gary jonathan larry justin scott brandon benjamin samuel gregory alexander patrick raymond jerry dennis tyler
aaron jose nathan henry zachary douglas peter adam kyle ethan jeremy walter keith roger terry sean gerald carl
arthur lawrence dylan jesse bryan bruce gabriel joe alan juan albert willie elijah wayne vincent liam bobby
caleb bradley russell lucas mary patricia jennifer linda elizabeth barbara susan jessica karen sarah lisa nancy
sandra betty ashley emily kimberly margaret donna michelle amanda melissa deborah stephanie rebecca sharon laura
cynthia amy kathleen angela shirley brenda emma anna pamela nicole samantha katherine christine helen debra
rachel carolyn janet maria catherine heather diane olivia julie joyce victoria ruth lauren kelly christina joan
evelyn judith andrea hannah megan cheryl jacqueline martha teresa sara janice kathryn abigail sophia alice judy
isabella julia denise danielle marilyn beverly charlotte natalie theresa diana brittany doris kayla alexis lori
marie mike steve dave chris jeff tony sally harry kate katie jenny mohammed muhammad ahmed fatima aisha priya
raj carlos luis miguel javier sofia`

// moreGiven are common given names of languages that the lists lack.
const moreGiven = `wei hiroshi kenji yuki haruto yui sakura takeshi akira naoko keiko yuko satoshi daisuke kazuki takashi
hiroko yoko xiao xiu ying jie hao jun ling mei ming qing hui lei feng bin xin yan yong zhen chen jing yun hong minh tuan
hyun min seo ji soo jae young sung joon woo eun hye kyung sang dong jin sook mi hee ahmad khalid omar ali hassan hussein
ibrahim yusuf mustafa khadija maryam aisha noor layla zainab abdullah abdul rahman bilal tariq salman imran usman nadia
samira rania priya anjali lakshmi deepak sanjay vijay rajesh suresh ramesh kiran neha pooja divya arjun rohan aarav
ananya vikram sunita geeta meera olga svetlana dmitri dmitry sergei sergey natasha tatiana vladimir igor ivan boris
oksana andrei mikhail nikolai yelena kwame kofi ama chidi ngozi emeka chioma oluwaseun babatunde adebayo thabo`

// moreFamily are family names that are words of English, too.
const moreFamily = `banks black wells graves long cook woods rivers fields stone rich case bishop knight fox wolf bird crane swan
drake hawk lamb bull buck bacon rice bean berry cherry flowers bush branch forest grove moss reed brook brooks
lake pond ford bridges hill hills cliff dale glenn field park parks church chapel castle hall temple towers
gates wall walls rod hammer locke bell bowman archer fisher hunter shepherd miller baker butler carter cooper
mason taylor turner walker smith potter weaver tanner carpenter barber porter marshall constable judge justice
pope abbott monk deacon dean chancellor king prince duke earl baron noble major sergeant page squire young
strong short small little armstrong savage wise sharp swift bright dark gray grey green white brown rose violet
silver gold golden diamond pearl day may august winter summer spring frost snow storm rain north south east west
joy hope grace bliss blessing sweet pepper mustard ginger hart hare roach finch sparrow robin jay martin wren
partridge peacock cox cocks pigg hogg stokes sparks burns blaze ash cross crouch holt wilde moody doe roe poe
lowe goodman goodwin hardy hale strange singer piper bond cash price penny pound marks mark sellers chambers
booth steward spicer cooke lane street rhodes weeks hood cloud raines battle spear shields wood meadows marsh
moor heath peck fuller tyler thatcher sawyer skinner slaughter butcher brewer cutler glover hooper wheeler
wainwright chandler cotton silk lord childs kidd mann powers will wills`

// eponyms are known in medicine so well that they stand alone: her Crohn's, a
// positive Murphy's.
const eponyms = `alzheimer alzheimers parkinson parkinsons crohn crohns hodgkin hodgkins huntington huntingtons addison addisons
cushing cushings graves hashimoto hashimotos raynaud raynauds sjogren sjögren marfan down downs klinefelter
wilson wilsons apgar glasgow foley gleason bell bells tourette tourettes asperger aspergers barrett barretts
meniere ménière guillain barre barré lyme babinski kaposi ewing wilms paget pagets bechet behçet behcet kawasaki
reye reyes lynch gaucher fabry tay sachs charcot tooth ehlers danlos chiari framingham wells ranson pugh killip
braden norton morse snellen romberg kernig brudzinski murphy mcburney rovsing virchow hoffman homans lachman
mallampati hickman swan ganz ringer ringers papanicolaou pap mantoux coombs gram dupuytren colles osgood
schlatter perthes scheuermann chaddock ferriman gallwey mcgill duke epworth karnofsky bristol hamilton edinburgh
rome ottawa centor alvarado burkitt waldenstrom waldenström hirschsprung meckel peyronie chagas ebola zika
epstein barr gehrig gehrigs creutzfeldt lewy pick korsakoff wernicke broca horner holter doppler kegel heimlich
trendelenburg fowler valsalva epley dix hallpike phalen tinel cheyne stokes kussmaul biot korotkoff churg
strauss wegener goodpasture henoch schonlein schönlein berger alport bartter gitelman liddle fanconi von
willebrand hageman christmas hansen mallory weiss johnson clark gilbert bouchard heberden felty still brugada fontan kasai whipple
nissen billroth roux hartmann merkel langerhans birt dubin rotor crigler najjar patau prader willi angelman rett
usher alagille arbor dukes breslow salter gustilo schober mcmurray spurling finkelstein bartholin skene cowper
henle purkinje schwann oddi vater peyer kupffer leydig sertoli starling atkins pilates`

// conditions follow the names of those who described them.
const conditions = `disease diseases syndrome syndromes sign signs reflex reflexes score scores scale scales criteria criterion
index test tests classification disorder disorders lymphoma sarcoma tumor tumour palsy chorea esophagus
oesophagus oesophagitis phenomenon thyroiditis contracture catheter method maneuver manoeuvre procedure
technique trial trials study rule rules guideline guidelines consensus questionnaire inventory staging stage
grade nodes stain factor tube clamp retractor forceps law equation formula triad murmur gait respirations
breathing ulcer nodules nodule aneurysm plexus ganglion ligament tendon fascia gland duct canal nerve nucleus
chromosome mutation protein antigen antibody antibodies receptor lactate model theory plot curve diagram
hypothesis conjecture paradox protocol dysplasia degeneration atrophy ataxia encephalopathy purpura vasculitis
granulomatosis cardiomyopathy nephropathy neuropathy deformity declaration dystrophy tetralogy drain tear pupil
assessment cognitive scoring exam data researchers experts virus flu fever brace definition measles sprouts wort
lace oil tea extract initiative gastritis ring rings anomaly malformation status`

// functionWords are never part of a name, but for will and may.
const functionWords = `the a an and or but nor so yet for with without to of in on at by from as into onto over under about after
before during since until till while if then than that this these those which who whom whose what when where why
how is are was were be been being am do does did done has have had having can could should would may might must
shall will not no yes i you he she it we they me him her us them my your his its our their mine yours hers ours
theirs there here also just only very too because due per via vs versus using again all any some each every both
either neither more most less least many much few own same other another such still already always never`

// chatWords are no names in lower case, and no places behind "at".
const chatWords = `baseline discharge admission follow bedside triage presentation midnight noon night home work screening enrollment
randomization diagnosis onset term birth rest least first last dawn lunch dinner breakfast bedtime christmas easter please thank thanks ok okay sorry well now today tomorrow yesterday given get got im ive dont cant need needs
want wants help feel feeling feels like said says say tell told go going went come came take taking taken let's
lets see ask asked asking not really doing trying hoping having calling writing looking worried sick tired happy
sad glad sure fine good bad back new able ready allergic pregnant`

// units of measure and of time.
const units = `mg mcg ug g gm gram grams kg ml dl l mmhg mmol meq mol iu unit units tablet tablets tab tabs pill pills cap caps
capsule capsules puff puffs drop drops dose doses hour hours hr hrs h day days week weeks wk wks month months mo
year years yr yrs minute minutes min mins second seconds percent pct bpm cm mm m ft lb lbs kcal cal times x cc
mcl k cells patients people participants subjects copies ng pg nmol psi hz msec ms pack packs cups glasses oz
dollars usd euros`

// visits are words of a sentence that tells where somebody was.
const visits = `seen treated admitted evaluated visited visiting diagnosed reviewed operated assessed presented presenting
managed discharged performed hospitalized hospitalised consulted referred underwent born works worked working
lives living resides residing resident attended attending followed transferred examined checked hospitalization
appointment scheduled surgery records report reports biopsy admission visit visits procedure chemo chemotherapy
check-up checkup done moved staying stayed volunteers employed meeting case consult consultation follow-up stay
delivered scanned tested enrolled`

// people are words that a name may follow.
const people = `patient pt pts client mother father mom mum dad wife husband spouse partner son daughter brother sister aunt
uncle cousin grandmother grandfather grandma grandpa friend neighbor neighbour roommate nurse physician surgeon
therapist caregiver guardian attending resident colleague boss landlord mrn male female man woman boy girl
gentleman lady boyfriend girlfriend fiance nephew niece`

// regions are no identifiers: Safe Harbor lets a state stand.
const regions = `alabama
alaska
arizona
arkansas
california
colorado
connecticut
delaware
florida
georgia
hawaii
idaho
illinois
indiana
iowa
kansas
kentucky
louisiana
maine
maryland
massachusetts
michigan
minnesota
mississippi
missouri
montana
nebraska
nevada
new hampshire
new jersey
new mexico
north carolina
south carolina
north dakota
south dakota
ohio
oklahoma
oregon
pennsylvania
rhode island
tennessee
texas
utah
vermont
virginia
west virginia
wisconsin
wyoming
puerto rico
england
scotland
wales
northern ireland
ireland
britain
great britain
united kingdom
united states
united states of america
america
south america
north america
latin america
central america
africa
south africa
asia
europe
australia
new zealand
canada
ontario
quebec
alberta
manitoba
saskatchewan
nova scotia
british columbia
mexico
brazil
argentina
chile
peru
colombia
venezuela
ecuador
bolivia
cuba
jamaica
haiti
dominican republic
panama
costa rica
guatemala
honduras
el salvador
nicaragua
spain
portugal
france
germany
austria
switzerland
italy
greece
turkey
poland
hungary
romania
bulgaria
serbia
croatia
albania
ukraine
russia
belarus
sweden
norway
denmark
finland
iceland
netherlands
belgium
luxembourg
china
japan
korea
south korea
north korea
taiwan
hong kong
singapore
vietnam
thailand
cambodia
laos
malaysia
indonesia
philippines
india
pakistan
bangladesh
nepal
sri lanka
afghanistan
iran
iraq
syria
lebanon
israel
jordan
egypt
saudi arabia
yemen
kuwait
qatar
morocco
algeria
tunisia
libya
sudan
ethiopia
kenya
uganda
tanzania
rwanda
somalia
nigeria
ghana
senegal
cameroon
congo
zambia
zimbabwe
malawi
mozambique
angola
botswana
namibia
madagascar
chad
mali
niger
midwest
northeast
southwest
silicon valley
new england
new york state
washington state
`

// acronyms in capitals that are no places behind "at".
const acronyms = `er ed icu ccu nicu picu micu sicu or pacu iv im po prn bid tid qid qhs hs ac pc am pm
ekg ecg eeg emg mri ct cta pet us cxr mra echo tte tee ef lvef bmi bp hr rr map cvp inr ptt pt aptt
cbc cmp bmp lft lfts tsh psa crp esr bnp ldl hdl wbc rbc hgb hct plt bun cr egfr gfr ast alt alp ldh
hiv aids hcv hbv hpv hsv ebv cmv tb copd chf cad ckd esrd dm htn gerd ibs ibd uti uris uri dvt pe tia cva mi
afib sle ra ms als adhd ocd ptsd bpd gad mdd dka hhs ards sirs ards aki
nyha aha acc ada jnc cdc fda nih who nice acog aap uspstf nccn asco esc easl aasld idsa gina gold acr eular
dnr cpr dob mrn ssn ama asap faq usa uk eu usa pcp np pa md rn do dds phd`

// medicalWords are words that a list of English for everyone leaves out, or that
// are names elsewhere. Names of drugs are known by their endings, too.
const medicalWords = `aspirin ibuprofen acetaminophen paracetamol tylenol advil motrin aleve warfarin coumadin heparin eliquis
xarelto plavix lipitor crestor zocor metformin insulin lantus humalog ozempic trulicity jardiance farxiga januvia
synthroid levothyroxine prednisone prednisolone dexamethasone albuterol spiriva symbicort advair ventolin singular
lasix furosemide spironolactone digoxin amiodarone lithium prozac zoloft lexapro celexa paxil wellbutrin cymbalta
effexor seroquel abilify zyprexa risperdal xanax ativan valium klonopin ambien adderall ritalin concerta vyvanse
gabapentin neurontin lyrica tramadol oxycodone hydrocodone morphine fentanyl suboxone naloxone narcan methadone
amoxicillin augmentin penicillin azithromycin zithromax doxycycline cipro bactrim keflex vancomycin clindamycin
nexium prilosec zantac pepcid protonix humira enbrel remicade keytruda opdivo herceptin avastin rituxan tamoxifen
allegra claritin zyrtec benadryl flonase yasmin ella mirena kyleena skyla nexplanon botox viagra cialis
covid influenza hepatitis diabetes asthma pneumonia sepsis cancer carcinoma leukemia melanoma lymphoma angina
hypertension hyperlipidemia atrial fibrillation myocardial infarction ischemia stenosis embolism thrombosis
staphylococcus streptococcus klebsiella pseudomonas salmonella listeria candida aspergillus coli aureus pylori difficile
vitamin type stage grade class group factor phase level score part section table figure appendix question option team
inc ltd llc corp christ easter african american asian caucasian hispanic asberg latino latina european indian chinese japanese mexican arabic jewish muslim christian
catholic english spanish french german italian russian korean vietnamese polish portuguese british irish scottish
engl alzheimer diabetic hypertensive medicare medicaid internet google apple android iphone zoom facebook instagram whatsapp amazon
uber tinder netflix linkedin microsoft excel word windows mychart epic cerner fitbit
cardiology oncology neurology nephrology urology gastroenterology endocrinology dermatology hematology rheumatology
pulmonology psychiatry psychology radiology pathology anesthesiology ophthalmology gynecology obstetrics pediatric
orthopedic surgical emergency department inpatient outpatient ambulatory unit doctor nurse physician patient`

// knownHospitals are names by which large hospitals of the United States go
// without the word hospital, from general knowledge.
const knownHospitals = `johns hopkins
kaiser permanente
mount sinai
mt sinai
cedars sinai
cedar sinai
nyu langone
mass general
massachusetts general
md anderson
sloan kettering
memorial sloan kettering
new york presbyterian
ny presbyterian
brigham and women
beth israel deaconess
cleveland clinic
mayo clinic
mayo
ucsf
ucla
upmc
mgh
ucsd
bwh
montefiore
northwell
geisinger
ochsner
dana farber
fred hutch
scripps
banner health
sutter health
providence health
ascension health
intermountain health
hackensack meridian
penn medicine
duke health
stanford health
emory healthcare
vanderbilt
duke
rush
emory
yale
tufts
kaiser
loyola
baylor
brigham
ohsu
lenox hill
mass gen
methodist
barnes jewish
henry ford
walter reed
weill cornell
children national
`
