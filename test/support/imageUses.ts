/** One real use of each library and of the programs in the worker image, and what it prints. */
export interface ImageUse {
  readonly code: string;
  readonly stdout: string;
}

export const LIBRARY_USES: Readonly<Record<string, ImageUse>> = {
  statsmodels: {
    code: `import numpy as np, statsmodels.api as sm, statsmodels.formula.api as smf, pandas as pd
table = pd.DataFrame({"x": np.arange(10.0)})
table["y"] = 3 * table["x"] + 2
print(smf.ols("y ~ x", table).fit().params.round(6).to_dict())
print(sm.OLS(table["y"], sm.add_constant(table["x"])).fit().rsquared.round(6))`,
    stdout: "{'Intercept': 2.0, 'x': 3.0}\n1.0\n",
  },
  networkx: {
    code: `import networkx as nx
print(nx.shortest_path(nx.cycle_graph(6), 0, 2), nx.number_connected_components(nx.path_graph(4)))`,
    stdout: '[0, 1, 2] 1\n',
  },
  'scikit-image': {
    code: `import numpy as np
from skimage import filters, io, measure, transform
picture = np.zeros((40, 40)); picture[5:15, 5:15] = 1; picture[25:35, 25:35] = 1
print(measure.label(picture > filters.threshold_otsu(picture)).max(), transform.resize(picture, (20, 20)).shape)
io.imsave("picture.png", (picture * 255).astype("uint8"), check_contrast=False)
print(io.imread("picture.png").shape)`,
    stdout: '2 (20, 20)\n(40, 40)\n',
  },
  lxml: {
    code: `from lxml import etree
print(etree.fromstring("<a><b c='1'/><b c='2'/></a>").xpath("//b[@c='2']/@c"))`,
    stdout: "['2']\n",
  },
  BeautifulSoup: {
    code: `from bs4 import BeautifulSoup
for parser in ("lxml", "html.parser"):
    print(BeautifulSoup("<p>one<p>two", parser).find_all("p")[1].text)`,
    stdout: 'two\ntwo\n',
  },
  'python-docx': {
    code: `import docx
document = docx.Document(); document.add_heading("Report"); document.add_paragraph("A sentence.")
document.save("report.docx")
print([paragraph.text for paragraph in docx.Document("report.docx").paragraphs])`,
    stdout: "['Report', 'A sentence.']\n",
  },
  'reportlab and pypdf': {
    code: `from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate
SimpleDocTemplate("report.pdf").build([Paragraph("A sentence.", getSampleStyleSheet()["Normal"])])
from pypdf import PdfReader
reader = PdfReader("report.pdf")
print(len(reader.pages), reader.pages[0].extract_text().strip())`,
    stdout: '1 A sentence.\n',
  },
  'xlsxwriter and openpyxl': {
    code: `import pandas as pd
with pd.ExcelWriter("table.xlsx", engine="xlsxwriter") as writer:
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_excel(writer, sheet_name="first", index=False)
print(pd.read_excel("table.xlsx").to_dict("list"))`,
    stdout: "{'a': [1, 2], 'b': ['x', 'y']}\n",
  },
  tabulate: {
    code: `import pandas as pd
print(pd.DataFrame({"a": [1]}).to_markdown(index=False))`,
    stdout: '|   a |\n|----:|\n|   1 |\n',
  },
  pydantic: {
    code: `from pydantic import BaseModel, ValidationError
class Point(BaseModel):
    x: int
print(Point(x="3"))
try: Point(x="three")
except ValidationError as error: print(error.error_count())`,
    stdout: 'x=3\n1\n',
  },
  jinja2: {
    code: `import jinja2, pandas as pd
print(jinja2.Template("{% for n in range(3) %}{{ n }};{% endfor %}").render())
print("<table" in pd.DataFrame({"a": [1]}).style.highlight_max().to_html())`,
    stdout: '0;1;2;\nTrue\n',
  },
  'requests, which says at once that there is no network': {
    code: `import requests, time
started = time.monotonic()
try: requests.get("https://example.com/")
except requests.exceptions.ConnectionError as error: print("Failed to resolve 'example.com'" in str(error))
print(time.monotonic() - started < 5)`,
    stdout: 'True\nTrue\n',
  },
};

const sh = (script: string): string => `import subprocess
print(subprocess.run(["bash", "-euo", "pipefail", "-c", ${JSON.stringify(script)}], capture_output=True, text=True, check=True).stdout, end="")`;

export const PROGRAM_USES: Readonly<Record<string, ImageUse>> = {
  'grep, sed, gawk, findutils and coreutils': {
    code: sh(`printf 'b 2\\na 1\\n' > words
sort words | sed 's/a/A/' | gawk '{ print $2, $1 }' | grep -c A
find . -name words | xargs wc -l | cut -d' ' -f1`),
    stdout: '1\n2\n',
  },
  'tar, gzip, xz, zip and unzip': {
    code: sh(`mkdir -p packed && echo inside > packed/file
for flag in z J j; do tar -c\${flag}f packed.tar packed && tar -xOf packed.tar packed/file; done
zip -qr packed.zip packed && unzip -p packed.zip packed/file
gzip -kc packed/file | zcat; xz -kc packed/file | xzcat`),
    stdout: 'inside\n'.repeat(6),
  },
  'jq, file, less and patch': {
    code: sh(`echo '{"a": [1, 2]}' | jq -c '.a | add'
file --brief --mime-type words
echo shown | less
printf 'one\\n' > old && printf 'two\\n' > new
diff -u old new > change || patch -s old change
cat old`),
    stdout: '3\ntext/plain\nshown\ntwo\n',
  },
  'git, in the home itself': {
    code: sh(`git init -q . && git config user.name n && git config user.email n@example.com
echo text > versioned && git add versioned && git commit -qm first && git log --format=%s
rm -rf .git`),
    stdout: 'first\n',
  },
  'curl, which says at once that there is no network': {
    code: sh('curl -sS https://example.com/ 2>&1 || echo $?'),
    stdout: 'curl: (6) Could not resolve host: example.com\n6\n',
  },
};
