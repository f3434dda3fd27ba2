import { type Link, TowlineError } from '@towline/contract';

/** Ends a link with its control stream: without one, a peer can be told nothing, and tells nothing any more. */
export function endWithControl(link: Link, control: { readonly closed: Promise<TowlineError | null> }): void {
  void control.closed.then((error) => {
    const { code, message } = error ?? new TowlineError('protocol_error', 'The peer ended its control stream.');
    void link.close(code, message);
  });
}
