import Docker from 'dockerode';

export interface ProcessInfo {
  /** The process id on the host. */
  readonly pid: number;
  readonly command: string;
}

/** The processes of a running container, its init first. @throws Error if there is no such container */
export async function listProcesses(container: string): Promise<ProcessInfo[]> {
  const columns = '-eo pid,args';
  const { Processes } = await new Docker().getContainer(container).top({ ps_args: columns });
  return (Processes as string[][]).map(([pid = '', command = '']) => ({
    pid: Number(pid),
    command,
  }));
}
